from collections.abc import AsyncIterator

import pytest

from tests.integration.producing.bench import Bench, open_bench


@pytest.fixture
async def bench(kafka_bootstrap_servers: str) -> AsyncIterator[Bench]:
    async with open_bench(kafka_bootstrap_servers) as bench:
        yield bench
