"""The first look at all assets: taken when the service starts, whatever is away then, and no request has to wait for it."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass
from typing import Any
from urllib.parse import urlsplit

import asyncpg
import pytest
from structlog.testing import capture_logs

from libs.postgres.migrations import migrate
from libs.postgres.pool import open_pool
from libs.postgres.reading.acquiring import readers_of
from libs.process.clock import SystemClock
from services.query.app import until_a_follower_fails
from services.query.holding_assets import HeldAssets
from services.query.sorted_list import SLICE, AssetOrder
from tests.integration.query.answers import Api, until, until_ready
from tests.integration.query.conftest import Serve
from tests.integration.query.cut_line import Line, line_to
from tests.integration.query.rows import AssetRow, insert_assets
from tests.integration.query.test_holding_assets import locked

LOOKERS = """
    SELECT count(*) FROM pg_stat_activity
    WHERE application_name = 'query-test' AND wait_event_type = 'Lock' AND datname = current_database()"""


@dataclass
class Slow(SystemClock):
    """A clock that hardly moves: whatever was seen once stays new."""

    now: float = 1_000.0
    slept: int = 0

    async def sleep(self, seconds: float) -> None:
        self.slept += 1
        await super().sleep(seconds / 10)

    def monotonic(self) -> float:
        self.now += 0.000_001
        return self.now


async def until_looks_wait(database: Any, looks: int = 1) -> None:
    async def they_wait() -> bool:
        await database.execute("SELECT pg_stat_clear_snapshot()")  # a transaction sees the same activity again and again
        return bool(await database.fetchval(LOOKERS) == looks)

    await until(they_wait)


async def has_slept(clock: Slow, times: int) -> bool:
    return clock.slept >= times


async def have_come(api: Api, clients: int) -> bool:
    runner = api.client.server.runner
    assert runner is not None
    assert runner.server is not None
    return len(runner.server.connections) >= clients


async def total_without_postgres(api: Api, database: Any) -> int:
    """Return how many assets there are in the service's memory."""
    async with locked(database):
        answered = await api.get("/data/count")
    assert answered.status == 200, answered.text
    return int(answered.body["total"])


async def test_a_service_that_is_ready_has_looked_though_nobody_asked(serve: Serve, database: Any, database_url: str) -> None:
    await insert_assets(database, [AssetRow("a"), AssetRow("b")])
    with capture_logs() as told:
        async with serve(database_url=database_url, clock=Slow(), oldest_page_seconds=2.0) as api:
            await until_ready(api)
            assert await total_without_postgres(api, database) == 2
    assert [(one["event"], one["assets"]) for one in told if one["event"].startswith("assets_")] == [("assets_held", 2)]


async def test_a_service_without_any_assets_is_ready_too(api: Api) -> None:
    await until_ready(api)


async def test_until_it_has_looked_it_is_not_ready_says_why_and_answers_all_the_rest(
    serve: Serve, database: Any, database_url: str
) -> None:
    await insert_assets(database, [AssetRow("a")])
    async with locked(database):
        async with serve(database_url=database_url) as api:
            await until_looks_wait(database)
            answered = await api.get("/ready")
            assert (answered.status, answered.code) == (503, "assets_not_ready")
            assert "they are being read now" in answered.body["detail"]
            for path in ("/health", "/stats/gaps", "/data/raw/csv"):
                assert (await api.get(path)).status == 200, path
            began = asyncio.get_running_loop().time()
        assert asyncio.get_running_loop().time() - began < 30, "it stops in the midst of the look"
        await until_looks_wait(database, 0)


async def test_who_asks_while_it_looks_for_the_first_time_shares_the_look(serve: Serve, database: Any, database_url: str) -> None:
    await insert_assets(database, [AssetRow("a"), AssetRow("b")])
    async with AsyncExitStack() as stack:
        async with locked(database):
            api = await stack.enter_async_context(serve(database_url=database_url))
            await until_looks_wait(database)
            asked = [asyncio.create_task(api.get("/data?limit=1")) for _ in range(50)]
            await until(lambda: have_come(api, 50))
        answers = [await one for one in asked]
    assert {one.status for one in answers} == {200}
    assert len({one.body["as_of"] for one in answers}) <= 3


@asynccontextmanager
async def line_to_postgres(database_url: str) -> AsyncIterator[tuple[Line, str]]:
    """Return a line that is cut, and the URL that leads through it."""
    where = urlsplit(database_url)
    async with line_to(where.port or 5432) as line:
        await line.cut()
        yield line, where._replace(netloc=where.netloc.replace(f":{where.port}", f":{line.port}")).geturl()


async def test_postgres_that_is_away_at_the_start_is_waited_for(serve: Serve, database: Any, database_url: str) -> None:
    await insert_assets(database, [AssetRow("a")])
    async with (
        line_to_postgres(database_url) as (line, url),
        serve(database_url=url, clock=Slow(), oldest_page_seconds=2.0) as api,
    ):
        assert (await api.get("/health")).status == 200
        answered = await api.get("/ready")
        assert (answered.status, answered.code) == (503, "postgres_unavailable")
        await line.mend()
        await until_ready(api)
        assert await total_without_postgres(api, database) == 1


async def test_an_outage_is_tried_through_again_and_again_and_told_of_once(database_url: str) -> None:
    clock = Slow()
    async with (
        line_to_postgres(database_url) as (line, url),
        open_pool(url, application="query-test", connections=1, statement_seconds=30) as pool,
    ):
        held = HeldAssets(readers_of(pool), clock)
        with capture_logs() as told:
            looking = asyncio.create_task(held.look_first())
            await until(lambda: has_slept(clock, 3))
            assert held.awaited == "connection failed: Connection refused"
            await line.mend()
            await asyncio.wait_for(looking, 60)
    assert held.awaited is None
    assert [(one["event"], one.get("reason"), one.get("assets")) for one in told] == [
        ("assets_awaited", "connection failed: Connection refused", None),
        ("assets_held", None, 0),
    ]


async def test_nobody_waits_for_anything_once_it_is_done(database: Any, database_url: str) -> None:
    await insert_assets(database, [AssetRow(f"a{number}", number) for number in range(SLICE + 500)])
    async with open_pool(database_url, application="query-test", connections=1, statement_seconds=30) as pool:
        held = HeldAssets(readers_of(pool), Slow())
        looking = asyncio.create_task(held.look_first())
        while held.awaited is not None:  # noqa: ASYNC110 the very turn in which it is done is meant
            await asyncio.sleep(0)
        asked = asyncio.create_task(held.current(AssetOrder.RANK))
        await asyncio.sleep(0)
        assert asked.done(), "it is sorted, too"
        await looking


async def test_tables_that_are_not_there_at_the_start_are_waited_for(serve: Serve, empty_database_url: str) -> None:
    async with serve(database_url=empty_database_url) as api:
        assert (await api.get("/ready")).code == "not_migrated"
        await asyncio.to_thread(migrate, empty_database_url)
        await until_ready(api)
        assert (await api.get("/data")).body["total"] == 0


async def test_a_first_look_that_meets_a_bug_ends_the_service(serve: Serve, database: Any, database_url: str) -> None:
    await database.execute("ALTER TABLE assets ALTER COLUMN version DROP DEFAULT, ALTER COLUMN version TYPE text")
    async with serve(database_url=database_url) as api:
        with pytest.raises(asyncpg.UndefinedFunctionError):
            await asyncio.wait_for(until_a_follower_fails(api.client.app), 60)


async def test_a_first_look_that_is_over_ends_nothing(api: Api) -> None:
    watching = asyncio.create_task(until_a_follower_fails(api.client.app))
    await until_ready(api)
    await asyncio.sleep(0)
    assert not watching.done()
    watching.cancel()
    await asyncio.wait([watching])
