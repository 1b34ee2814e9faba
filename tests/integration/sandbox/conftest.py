from collections.abc import AsyncIterator

import aiohttp
import pytest
import pytest_asyncio
from aiohttp.test_utils import TestServer

from libs.process.clock import SystemClock
from services.sandbox.app import create_app
from services.sandbox.market.market import Market
from services.sandbox.steps import Steps


@pytest.fixture(scope="session")
def market() -> Market:
    return Market(5, coingecko_listings=600, coinpaprika_listings=800)


@pytest_asyncio.fixture
async def sandbox(market: Market) -> AsyncIterator[aiohttp.ClientSession]:
    """A client of a sandbox of its own, its time held at step 1000."""
    app = create_app(market, steps=Steps(market.step_seconds, SystemClock(), held_at=1_000))
    async with TestServer(app) as server, aiohttp.ClientSession(server.make_url("/"), timeout=TIMEOUT) as session:
        yield session


TIMEOUT = aiohttp.ClientTimeout(total=20)
