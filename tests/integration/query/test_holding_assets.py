"""When Postgres is looked at, and what those who ask at the same time get."""

import asyncio
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Any

import pytest

from libs.postgres.pool import open_pool
from libs.postgres.reading.acquiring import PostgresAwayError, Readers, readers_of
from libs.process.clock import SystemClock
from services.query.holding_assets import ANEW_SECONDS, COST_MULTIPLE, LONGEST_SECONDS, USUAL_SECONDS, HeldAssets
from services.query.sorted_assets import AssetPage
from services.query.sorted_list import AssetOrder
from tests.integration.query.answers import until
from tests.integration.query.rows import AssetRow, insert_assets

ALL = AssetPage(AssetOrder.UID, descending=False, limit=500)
TOUCH = "UPDATE assets SET version = nextval('asset_versions'), updated_at = clock_timestamp() WHERE asset_uid = 'a'"
LOOKERS = "SELECT count(*) FROM pg_stat_activity WHERE application_name = 'looking' AND wait_event_type = 'Lock'"


@dataclass
class Played(SystemClock):
    """A clock that is moved by hand, and by `step` each time that it is read."""

    now: float = 1_000.0
    step: float = 0.0

    def monotonic(self) -> float:
        self.now += self.step
        return self.now


@asynccontextmanager
async def readers_for(database_url: str, *, statement_seconds: float = 30) -> AsyncIterator[Readers]:
    async with open_pool(
        database_url, application="looking", connections=4, statement_seconds=statement_seconds, read_only=True
    ) as pool:
        yield readers_of(pool)


@pytest.fixture
async def readers(database_url: str) -> AsyncIterator[Readers]:
    async with readers_for(database_url) as readers:
        yield readers


@asynccontextmanager
async def locked(database: Any) -> AsyncIterator[None]:
    """Keep every look waiting."""
    async with database.transaction():
        await database.execute("LOCK TABLE assets IN ACCESS EXCLUSIVE MODE")
        yield


async def uids(held: HeldAssets) -> list[str]:
    return [key.asset_uid for key in (await (await held.current(AssetOrder.UID)).page(ALL)).keys]


async def test_what_was_seen_is_good_for_a_tenth_of_a_second_and_no_longer(database: Any, readers: Readers) -> None:
    await insert_assets(database, [AssetRow("a")])
    clock = Played()
    held = HeldAssets(readers, clock)
    assert await uids(held) == ["a"]
    await insert_assets(database, [AssetRow("b")])
    clock.now += USUAL_SECONDS - 0.001
    assert await uids(held) == ["a"]
    clock.now += 0.002
    assert await uids(held) == ["a", "b"]
    assert pytest.approx(0.1) == USUAL_SECONDS


@pytest.mark.parametrize(
    ("lasted", "good_for"),
    [
        ((0.02, 0.03), COST_MULTIPLE * 0.02),
        ((1.0, 1.0), LONGEST_SECONDS),
        ((0.0, 1.0), USUAL_SECONDS),  # a single one that is slow stretches nothing, neither at once nor after
        ((1.0,), USUAL_SECONDS),
        ((1.0, 1.0, 0.0), USUAL_SECONDS),
    ],
)
async def test_looks_that_are_slow_again_and_again_are_fewer_but_nothing_gets_older_than_two_seconds(
    database: Any, readers: Readers, lasted: tuple[float, ...], good_for: float
) -> None:
    clock = Played()
    held = HeldAssets(readers, clock)
    for clock.step in lasted:
        clock.now += LONGEST_SECONDS
        assert await uids(held) == []
    began, clock.step = clock.now - lasted[-1], 0.0
    await insert_assets(database, [AssetRow("a")])
    if clock.now < began + good_for:
        clock.now = began + good_for - 0.001
        assert await uids(held) == []
        clock.now += 0.002
    assert await uids(held) == ["a"]


async def test_with_no_age_at_all_everybody_gets_what_was_there_when_they_asked(database: Any, readers: Readers) -> None:
    held = HeldAssets(readers, SystemClock(), longest_seconds=0)
    for number in range(5):
        await insert_assets(database, [AssetRow(f"a{number}")])
        assert len(await uids(held)) == number + 1


async def test_who_asks_before_a_look_begins_shares_it_and_who_asks_later_shares_the_next(
    database: Any, readers: Readers
) -> None:
    held = HeldAssets(readers, SystemClock(), longest_seconds=0)
    await held.current(AssetOrder.UID)

    async def as_of() -> Any:
        return (await held.current(AssetOrder.UID)).as_of

    async with locked(database), asyncio.TaskGroup() as tasks:
        first = tasks.create_task(as_of())
        await until(lambda: _looks_wait(database))
        later = [tasks.create_task(as_of()) for _ in range(30)]
        await asyncio.sleep(0)
        await database.execute("COMMIT")
        await database.execute("BEGIN")
    assert len({one.result() for one in later}) == 1
    assert first.result() < later[0].result()


async def _looks_wait(database: Any) -> bool:
    return bool(await database.fetchval(LOOKERS) == 1)


async def test_who_goes_away_leaves_the_look_to_the_next_and_nothing_half_done(database: Any, readers: Readers) -> None:
    await insert_assets(database, [AssetRow("a"), AssetRow("b")])
    clock = Played()
    held = HeldAssets(readers, clock)
    assert await uids(held) == ["a", "b"]
    clock.now += 1
    await database.execute("DELETE FROM assets WHERE asset_uid = 'b'")
    await database.execute(TOUCH)
    async with locked(database):
        goes = asyncio.create_task(held.current(AssetOrder.UID))
        await until(lambda: _looks_wait(database))
        stays = asyncio.create_task(uids(held))
        await asyncio.sleep(0)
        goes.cancel()
        with pytest.raises(asyncio.CancelledError):
            await goes
        assert not stays.done()
    assert await stays == ["a"]
    version = await database.fetchval("SELECT version FROM assets")
    assert [key.version for key in (await (await held.current(AssetOrder.UID)).page(ALL)).keys] == [version]


async def test_a_look_that_fails_fails_for_all_who_wait_for_it_and_the_next_is_right(database: Any, database_url: str) -> None:
    async with readers_for(database_url, statement_seconds=1) as readers:
        held = HeldAssets(readers, SystemClock(), longest_seconds=0)
        await insert_assets(database, [AssetRow("a")])
        assert await uids(held) == ["a"]
        await insert_assets(database, [AssetRow("b")])
        began = time.monotonic()
        async with locked(database):
            outcomes = await asyncio.gather(*(held.current(AssetOrder.UID) for _ in range(100)), return_exceptions=True)
        assert {type(one) for one in outcomes} == {PostgresAwayError}, "and nobody gets what was there before"
        assert len({str(one) for one in outcomes}) == 1
        assert time.monotonic() - began < 50, "not one after another"
        assert await uids(held) == ["a", "b"]


async def test_a_deleted_asset_is_gone_and_all_is_read_anew_for_that_and_once_an_hour(database: Any, readers: Readers) -> None:
    await insert_assets(database, [AssetRow("a"), AssetRow("b")])
    clock = Played()
    held = HeldAssets(readers, clock)
    first = await held.current(AssetOrder.UID)
    clock.now += 1
    await database.execute(TOUCH)
    assert await held.current(AssetOrder.UID) is first
    clock.now += 1
    await database.execute("DELETE FROM assets WHERE asset_uid = 'b'")
    assert await uids(held) == ["a"]
    second = await held.current(AssetOrder.UID)
    assert second is not first
    clock.now += ANEW_SECONDS - 1
    assert await held.current(AssetOrder.UID) is second
    clock.now += 1
    assert await held.current(AssetOrder.UID) is not second
