"""What seems new is inserted without a look at what is there; where something is there after all, none is lost or told twice."""

import asyncio
from dataclasses import replace
from datetime import timedelta
from functools import partial

import pytest
from structlog.testing import capture_logs

from libs.domain.identity import Listing
from libs.postgres.pool import Pool
from libs.postgres.writing.ticks import Tick
from tests.integration.streaming.conftest import eventually
from tests.integration.writing.conftest import COINGECKO, START, history, numbered, tick, write_chunk
from tests.integration.writing.test_history import BITCOIN, candle, candles_in, promises_broken, ticks_in

WAITS = "SELECT EXISTS (SELECT FROM pg_stat_activity WHERE wait_event_type = 'Lock' AND query LIKE '%INTO raw_coingecko%')"


def fetched_later(one: Tick) -> Tick:
    return one._replace(quote=one.quote._replace(fetched_at=one.quote.fetched_at + timedelta(minutes=5)))


@pytest.mark.parametrize(("days", "looked"), [(0, False), (1, False), (2, True)])
async def test_a_tick_that_only_the_history_has_is_told_again_and_not_twice(pool: Pool, days: int, *, looked: bool) -> None:
    """Somebody deleted its raw row and its quote; its chunk brings another that is new.

    What is older than yesterday is looked for first: its day may be dropped, and its hours closed, at this moment.
    """
    destination = replace(COINGECKO, history=replace(history(), utc=lambda: START + timedelta(days=days)))
    first, other = tick("bitcoin", "btc", price="5"), tick("ether", "eth", price="7")
    await write_chunk(pool, destination, 0, numbered([first]))
    await pool.execute("DELETE FROM raw_coingecko")
    await pool.execute("DELETE FROM quotes")
    with capture_logs() as told:
        written = await write_chunk(pool, destination, 0, numbered([fetched_later(first), other], 1))
    again = [] if looked else [("chunk_written_again", True)]
    assert [(one["event"], "quote_history" in one["constraint"]) for one in told] == again
    assert (written.counted.stored, written.counted.duplicate) == (2, 0)
    assert await pool.fetchval("SELECT count(*) FROM raw_coingecko") == 2
    at, later = first.quote.fetched_at, first.quote.fetched_at + timedelta(minutes=5)
    assert await ticks_in(pool) == {
        (BITCOIN, START, first.quote.tick_id): (5, at, later),
        (Listing("coingecko", "ether"), START, other.quote.tick_id): (7, at, at),
    }
    assert await promises_broken(pool, [first.quote, other.quote]) == {}


async def test_a_chunk_of_an_hour_and_the_first_moment_of_the_next_closes_the_first(pool: Pool) -> None:
    ticks = [tick("bitcoin", "btc", minute=30, price="5"), tick("bitcoin", "btc", minute=60, price="7")]
    await write_chunk(pool, COINGECKO, 0, numbered(ticks))
    assert await candles_in(pool, "candles_1h") == {(BITCOIN, START): candle(5, 5, 5, 5, 1)}
    assert await promises_broken(pool, [one.quote for one in ticks]) == {}


async def test_a_content_that_somebody_stores_at_this_moment_is_waited_for_and_known(pool: Pool) -> None:
    """Somebody who makes another uid of it, and so holds other locks."""
    one = tick("bitcoin", "btc", price="5")
    columns = "tick_id, source_id, asset_uid, run_id, fetched_at, source_updated_at, payload"
    insert = f"INSERT INTO raw_coingecko ({columns}) VALUES ($1, 'bitcoin', 'xbt', $2, $3, $3, '{{}}')"  # noqa: S608 - ours
    async with pool.acquire() as other:
        ours = other.transaction()
        await ours.start()
        await other.execute(insert, one.quote.tick_id, one.quote.run_id, START)
        async with asyncio.TaskGroup() as group:
            writing = group.create_task(write_chunk(pool, COINGECKO, 0, numbered([one])))
            await eventually(partial(pool.fetchval, WAITS), "the writer waits for the other's row")
            await ours.commit()
    counted = writing.result().counted
    assert (counted.stored, counted.duplicate) == (0, 1)
    assert await pool.fetchval("SELECT asset_uid FROM raw_coingecko") == "xbt"
    assert await promises_broken(pool, [one.quote]) == {}
