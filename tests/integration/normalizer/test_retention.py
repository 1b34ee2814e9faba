"""What is old is forgotten, a few rows at a time, by one worker, and nobody waits for that."""

import asyncio
from dataclasses import replace
from datetime import datetime, timedelta
from uuid import UUID, uuid4

import pytest

from libs.kafka.publishing import Publisher
from libs.postgres.pool import Pool
from libs.postgres.writing.history import History
from libs.postgres.writing.retention import InTheWayError, delete_raw, turn
from libs.process.clock import SystemClock
from libs.process.outages import OutageBoard
from libs.telemetry.meters import Meters
from services.normalizer.measures import Measures
from services.normalizer.outlets import Outlets
from services.normalizer.retention import Retention
from services.normalizer.wiring import Topics
from tests.integration.normalizer.conftest import NOW, count
from tests.integration.streaming.conftest import eventually
from tests.integration.writing.conftest import COINGECKO, numbered, place_of, tick, write_chunk

DAY = timedelta(days=1)
INSERT = """
    INSERT INTO raw_coingecko (tick_id, source_id, asset_uid, run_id, fetched_at, source_updated_at, payload)
    SELECT md5($1 || n)::uuid, n, 'x', $2, $3, $3, '{}' FROM generate_series(1, $4::integer) AS n"""


class NoPause(SystemClock):
    async def sleep(self, seconds: float) -> None:  # noqa: ARG002 - none is slept
        await asyncio.sleep(0)


@pytest.fixture
def retention(pool: Pool, publisher: Publisher, topics: Topics) -> Retention:
    clock = NoPause()
    measures = Measures(Meters("normalizer", "test"))
    outlets = Outlets(
        pool, publisher, topics.assets, topics.dead_letters, clock, timedelta(seconds=1), OutageBoard(clock), measures
    )
    return Retention(outlets, {"coingecko": "raw_coingecko", "csv": "raw_csv"}, 30 * DAY, at_once=100)


async def insert(pool: Pool, name: str, rows: int, *, age: timedelta) -> None:
    await pool.execute(INSERT, name, UUID(int=1), NOW - age, rows)


async def test_raw_rows_that_are_old_go_and_no_others(pool: Pool, retention: Retention) -> None:
    for name, rows, age in (("oldest", 250, 90 * DAY), ("old", 150, 31 * DAY), ("young", 120, 29 * DAY), ("new", 30, 0 * DAY)):
        await insert(pool, name, rows, age=age)
    assert await retention.run_once() == {"raw_coingecko": 400}
    assert await pool.fetchval("SELECT count(*) FROM raw_coingecko WHERE fetched_at < $1", NOW - 30 * DAY) == 0
    assert await count(pool, "raw_coingecko") == 150
    assert await retention.run_once() == {}


async def test_what_a_listing_says_now_is_kept_however_long_it_has_been_saying_it(pool: Pool, retention: Retention) -> None:
    """A file that never changes would otherwise be empty after a month."""
    await write_chunk(pool, COINGECKO, place_of("btc"), numbered([tick("bitcoin", "btc"), tick("bitcoin", "btc", minute=1)]))
    await insert(pool, "old", 150, age=90 * DAY)
    await pool.execute("UPDATE raw_coingecko SET fetched_at = $1", NOW - 90 * DAY)
    assert await retention.run_once() == {"raw_coingecko": 151}
    newest = await pool.fetchval("SELECT tick_id FROM quotes")
    assert [row["tick_id"] for row in await pool.fetch("SELECT tick_id FROM raw_coingecko")] == [newest]


async def test_a_clock_that_is_months_ahead_deletes_nothing(pool: Pool, retention: Retention) -> None:
    class Ahead(NoPause):
        def utc(self) -> datetime:
            return super().utc() + 90 * DAY

    await insert(pool, "new", 10, age=0 * DAY)
    wrong = replace(retention, outlets=replace(retention.outlets, clock=Ahead()))
    assert await wrong.run_once() == {}
    assert await count(pool, "raw_coingecko") == 10


async def test_without_an_age_raw_rows_are_kept_for_ever(pool: Pool, retention: Retention) -> None:
    await insert(pool, "old", 10, age=9_000 * DAY)
    kept = Retention(retention.outlets, retention.raw_tables, None)
    assert await kept.run_once() == {}
    assert await count(pool, "raw_coingecko") == 10


async def test_what_tells_of_runs_gaps_and_letters_goes_after_its_time(pool: Pool, retention: Retention) -> None:
    for age in (1, 59, 61, 400):
        run_id, at = uuid4(), NOW - age * DAY
        await pool.execute(
            "INSERT INTO etl_runs (run_id, source, status, last_event_at) VALUES ($1, 'csv', 'failed', $2)", run_id, at
        )
        await pool.execute("INSERT INTO etl_run_shards (run_id, shard, reported_at) VALUES ($1, '1', $2)", run_id, at)
        await pool.execute("INSERT INTO etl_run_progress VALUES ($1, 'csv', 0, 1, 1, 0, 0)", run_id)
        await pool.execute("INSERT INTO gaps (gap_id, kind, source, found_at) VALUES ($1, 'runs_missed', 'csv', $2)", run_id, at)
        await pool.execute(
            "INSERT INTO dead_letters (partition, record_offset, failed_at, error_class, attempt, detail, size) "
            "VALUES (0, $1, $2, 'undecodable', 1, '', 1)",
            age,
            at,
        )
    assert await retention.run_once() == {"etl_runs": 2, "gaps": 2, "dead_letters": 3}
    for table in ("etl_runs", "etl_run_shards", "etl_run_progress", "gaps"):
        assert await count(pool, table) == 2, table


async def test_days_and_months_that_are_past_keeping_are_dropped_whole(pool: Pool, retention: Retention) -> None:
    ages = (0, 29, 33, 34, 230)
    held = History(lambda: NOW - 400 * DAY, 400 * DAY, None)
    for age in ages:
        old = tick("bitcoin", "btc", price=str(age + 1))
        old = old._replace(quote=old.quote._replace(source_updated_at=NOW - age * DAY, fetched_at=NOW - age * DAY))
        await write_chunk(pool, replace(COINGECKO, history=held), place_of("btc"), numbered([old]))
    kept = replace(retention, history=History(retention.outlets.clock.utc, 30 * DAY, 180 * DAY))
    assert await kept.run_once() == {"raw_coingecko": 3}
    days = {row[0] for row in await pool.fetch("SELECT event_time FROM quote_history")}
    assert days == {NOW - age * DAY for age in (0, 29)}
    assert await count(pool, "candles_1h_all") == len(ages) - 1
    late = {row[0] for row in await pool.fetch("SELECT event_time FROM late_ticks")}
    assert late == {NOW - 33 * DAY, NOW - 34 * DAY}, "which may come again"
    assert await kept.run_once() == {}


async def test_only_one_worker_at_a_time_deletes(pool: Pool, retention: Retention) -> None:
    await insert(pool, "old", 10, age=31 * DAY)
    async with turn(pool) as ours:
        assert ours is not None
        assert await retention.run_once() == {}
    assert await retention.run_once() == {"raw_coingecko": 10}


async def test_a_turn_ends_also_when_whoever_had_it_cannot_say_so(pool: Pool) -> None:
    entered = asyncio.Event()

    async def hold() -> None:
        async with turn(pool):
            entered.set()
            await asyncio.sleep(60)

    holding = asyncio.create_task(hold())
    await entered.wait()
    holding.cancel()
    await asyncio.sleep(0)  # it is about to give the turn back
    holding.cancel()
    await asyncio.gather(holding, return_exceptions=True)

    async def is_free() -> bool:
        return not await pool.fetchval("SELECT count(*) FROM pg_locks WHERE locktype = 'advisory'")

    await eventually(is_free, "nobody has the turn")


async def test_a_chunk_is_stored_while_a_batch_is_being_deleted(pool: Pool) -> None:
    """The batch holds its rows, and nothing that a writer needs: not the table, not the other rows."""
    await insert(pool, "old", 200, age=31 * DAY)
    async with pool.acquire() as connection, connection.transaction():
        assert (await delete_raw(connection, "coingecko", "raw_coingecko", after=0, before=NOW, at_once=200)).deleted == 200
        held = await pool.fetch(
            "SELECT locktype, mode FROM pg_locks WHERE relation = 'raw_coingecko'::regclass AND pid <> pg_backend_pid()"
        )
        assert {row["mode"] for row in held} <= {"RowExclusiveLock", "RowShareLock", "AccessShareLock"}
        async with asyncio.timeout(5):
            written = await write_chunk(pool, COINGECKO, place_of("btc"), numbered([tick("bitcoin", "btc")]))
    assert written.counted.stored == 1
    assert await count(pool, "raw_coingecko") == 1


async def test_a_batch_gives_up_when_somebody_holds_the_table(pool: Pool, retention: Retention) -> None:
    await insert(pool, "old", 10, age=31 * DAY)
    async with pool.acquire() as other, other.transaction():
        await other.execute("LOCK TABLE raw_coingecko IN EXCLUSIVE MODE")
        async with turn(pool) as connection:
            assert connection is not None
            with pytest.raises(InTheWayError):
                await delete_raw(connection, "coingecko", "raw_coingecko", after=0, before=NOW)
        assert await retention.run_once() == {}
    assert await retention.run_once() == {"raw_coingecko": 10}


async def test_a_content_that_comes_back_is_stored_again_and_the_quote_never_needed_it(pool: Pool) -> None:
    entries = numbered([tick("bitcoin", "btc")])
    await write_chunk(pool, COINGECKO, place_of("btc"), entries)
    await pool.execute("DELETE FROM raw_coingecko")
    again = await write_chunk(pool, COINGECKO, place_of("btc"), entries)
    assert (again.counted.stored, await count(pool, "quotes"), await count(pool, "assets")) == (1, 1, 1)


async def test_a_row_that_a_listing_says_again_meanwhile_is_there_whoever_is_first(pool: Pool) -> None:
    """The writer shows it before its transaction can be seen; or it finds the row, and retention has deleted that."""
    there, elsewhere, back = tick("bitcoin", "btc"), tick("bitcoin", "btc", minute=1), tick("bitcoin", "btc", minute=2)
    back = back._replace(payload=there.payload, quote=back.quote._replace(tick_id=there.quote.tick_id))
    for writer_first in (True, False):
        await pool.execute("TRUNCATE raw_coingecko, quotes, assets, assets_gone, etl_run_progress")
        await write_chunk(pool, COINGECKO, place_of("btc"), numbered([there, elsewhere]))
        await pool.execute("UPDATE raw_coingecko SET fetched_at = $1 WHERE tick_id = $2", NOW - 90 * DAY, there.quote.tick_id)
        async with asyncio.TaskGroup() as tasks, pool.acquire() as holder:
            if writer_first:
                async with holder.transaction():  # holds the writer up at its end, when it has done all else
                    await holder.execute("LOCK TABLE assets IN SHARE MODE")
                    writing = tasks.create_task(write_chunk(pool, COINGECKO, place_of("btc"), numbered([back])))
                    await waits_for_a_lock(pool)
                    async with pool.acquire() as other:
                        assert (await delete_raw(other, "coingecko", "raw_coingecko", after=0, before=NOW)).deleted == 0
            else:
                async with holder.transaction():
                    assert (await delete_raw(holder, "coingecko", "raw_coingecko", after=0, before=NOW)).deleted == 1
                    writing = tasks.create_task(write_chunk(pool, COINGECKO, place_of("btc"), numbered([back])))
                    await waits_for_a_lock(pool)
        assert (await writing).counted.stored == (0 if writer_first else 1)
        shown = await pool.fetchval("SELECT tick_id FROM quotes")
        assert shown == there.quote.tick_id
        assert await pool.fetchval("SELECT count(*) FROM raw_coingecko WHERE tick_id = $1", shown) == 1


async def waits_for_a_lock(pool: Pool) -> None:
    async def waits() -> bool:
        return bool(await pool.fetchval("SELECT count(*) FROM pg_stat_activity WHERE wait_event_type = 'Lock'"))

    await eventually(waits, "somebody waits for a lock")
