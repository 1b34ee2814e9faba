"""A real Prometheus on the project's own configuration: `make test-monitoring`, which has or builds one. `make test` has none."""

import os
from collections.abc import AsyncIterator

import pytest
import pytest_asyncio

from libs.devstack.broker import Jars
from libs.devstack.children import Nursery
from tests.monitoring.stack import Stack, started

collect_ignore = [] if os.environ.get("KASPARRO_TEST_MONITORING") else ["test_prometheus.py"]


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def stack(nursery: Nursery, kafka_jars: Jars, tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Stack]:
    """Everything runs, and Prometheus watches it."""
    async with started(nursery, kafka_jars, tmp_path_factory.mktemp("monitoring")) as stack:
        yield stack
