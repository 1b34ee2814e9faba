"""An hour becomes a row once, when it is over for its listing; until then its candle is its ticks."""

import asyncio
import random
from collections.abc import Sequence
from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest

from libs.domain.numbers import number_of
from libs.domain.quotes import Quote
from libs.postgres.migrations import roll_back
from libs.postgres.pool import Pool
from libs.postgres.writing.history_retention import drop
from libs.postgres.writing.partitions import TICKS, Partition
from libs.postgres.writing.rebuilding import emptied
from libs.postgres.writing.retention import InTheWayError
from libs.postgres.writing.ticks import Tick
from tests.integration.streaming.conftest import eventually
from tests.integration.writing.by_hand import candles_of, ticks_of
from tests.integration.writing.conftest import COINGECKO, PRIORITIES, START, history, place_of, tick
from tests.integration.writing.test_history import (
    BITCOIN,
    DAY,
    HOUR,
    ROWS_OF_OPEN_HOURS,
    SHORT,
    candle,
    candles_in,
    drop_old,
    later,
    promises_broken,
    ticks_in,
    write,
)

TODAY = Partition(TICKS, START.date())


def told(*minutes_and_prices: tuple[int, str | None], uid: str = "btc") -> list[Tick]:
    """What bitcoin said, minute by minute."""
    ticks = [tick("bitcoin", uid, minute=minute, price=price or "0") for minute, price in minutes_and_prices]
    return [
        one._replace(quote=one.quote._replace(price_usd=None if price is None else number_of(price)))
        for one, (_, price) in zip(ticks, minutes_and_prices, strict=True)
    ]


def quotes_of(ticks: Sequence[Tick]) -> list[Quote]:
    return [one.quote for one in ticks]


async def rows_in(pool: Pool) -> dict[Any, Any]:
    return await candles_in(pool, "candles_1h")


async def holds(pool: Pool, ticks: Sequence[Tick]) -> None:
    assert await promises_broken(pool, quotes_of(ticks)) == {}
    assert await candles_in(pool) == candles_of(quotes_of(ticks), HOUR)


async def test_an_hour_becomes_a_row_when_its_listing_moves_on_and_not_before(pool: Pool) -> None:
    ticks = told((0, "5"), (59, "7"), (60, "6"))
    await write(pool, ticks[:1])
    await write(pool, ticks[1:2])
    assert await rows_in(pool) == {}
    assert await candles_in(pool) == {(BITCOIN, START): candle(5, 7, 5, 7, 2)}
    await write(pool, ticks[2:])
    assert await rows_in(pool) == {(BITCOIN, START): candle(5, 7, 5, 7, 2)}
    await holds(pool, ticks)


async def test_an_hours_edge_belongs_to_the_hour_that_begins(pool: Pool) -> None:
    last, first = told((59, "5"), (60, "6"))
    last = last._replace(quote=last.quote._replace(source_updated_at=START + HOUR - timedelta(microseconds=1)))
    same = told((60, "7"))
    for ticks in ([last], [first], same, [last, first]):
        await write(pool, ticks)
    assert await rows_in(pool) == {(BITCOIN, START): candle(5, 5, 5, 5, 1)}
    await holds(pool, [last, first, *same])


async def test_what_comes_late_by_one_tick_at_the_hours_edge_has_a_row(pool: Pool) -> None:
    edge, late = told((60, "6")), told((30, "1"))
    await write(pool, edge)
    await write(pool, late)
    assert await rows_in(pool) == {(BITCOIN, START): candle(1, 1, 1, 1, 1)}
    await holds(pool, edge + late)


@pytest.mark.parametrize("before", [[], [(10, "9")], [(10, None)], [(400, "9")]], ids=["new", "priced", "no price", "ahead"])
async def test_a_chunk_may_hold_many_hours_of_a_listing_and_what_was_told_before(
    pool: Pool, before: list[tuple[int, str | None]]
) -> None:
    held = told(*before)
    await write(pool, held)
    chunk = told((20, "3"), (70, None), (75, "4"), (130, "5"), (190, None), (250, "1"), (255, "2"))
    await write(pool, [*chunk, *held, *chunk[:2]])
    await holds(pool, held + chunk)
    await write(pool, held + chunk)
    await holds(pool, held + chunk)


async def test_late_ticks_are_merged_into_the_row_of_an_hour_that_is_over_or_make_it(pool: Pool) -> None:
    """The second hour had a tick without a price alone, and so no row when it was closed."""
    ticks = told((10, "5"), (70, None), (130, "6"), (30, "1"), (80, "2"), (5, "8"), (140, "7"))
    for one in ticks:
        await write(pool, [one])
    assert await rows_in(pool) == candles_of(quotes_of(told((10, "5"), (30, "1"), (80, "2"), (5, "8"))), HOUR)
    await holds(pool, ticks)


async def test_an_hour_closes_of_which_the_newest_quote_has_no_price(pool: Pool) -> None:
    ticks = told((10, "5"), (50, None), (70, None), (130, "6"))
    for one in ticks:
        await write(pool, [one])
        await holds(pool, ticks[: ticks.index(one) + 1])
    assert await rows_in(pool) == {(BITCOIN, START): candle(5, 5, 5, 5, 1)}


async def test_a_row_that_an_older_version_left_of_the_open_hour_takes_the_ticks_that_follow(pool: Pool) -> None:
    ticks = told((10, "5"), (20, "3"), (30, "9"), (70, "6"))
    await write(pool, ticks[:2])
    await pool.execute(ROWS_OF_OPEN_HOURS)
    again = ticks[1]._replace(quote=ticks[1].quote._replace(fetched_at=START + DAY))
    await write(pool, [ticks[2], again])
    assert await rows_in(pool) == {(BITCOIN, START): candle(5, 9, 3, 9, 3)}
    await write(pool, ticks[3:])
    await holds(pool, ticks)


async def test_a_row_of_some_ticks_that_an_older_version_made_beside_this_one_is_mended_when_the_hour_is_over(pool: Pool) -> None:
    """It knows of no open hour, and makes a row of the tick that it has."""
    held, (later_one,), (moved,) = told((10, "5"), (20, "1"), (30, "3")), told((40, "2")), told((70, "6"))
    await write(pool, held)
    await pool.execute(ROWS_OF_OPEN_HOURS)
    await pool.execute("UPDATE candles_1h SET (open, high, low, close, ticks, open_at) = (3, 3, 3, 3, 1, close_at)")
    await write(pool, [later_one])
    assert await rows_in(pool) == {(BITCOIN, START): candle(3, 3, 2, 2, 2)}
    await write(pool, [moved])
    await holds(pool, [*held, later_one, moved])


async def test_a_rebuild_that_leaves_the_history_leaves_a_row_of_each_open_hour(pool: Pool) -> None:
    ticks = told((10, "5"), (70, "6"), (75, "7"))
    ether = tick("ether", "eth", price="9")
    await write(pool, [*ticks, ether])
    async with emptied(pool, {"coingecko": "raw_coingecko"}, PRIORITIES):
        pass
    assert await rows_in(pool) == candles_of(quotes_of([*ticks, ether]), HOUR)
    await write(pool, told((80, "4")))  # before the replay has come so far
    await write(pool, ticks[:1])
    await write(pool, ticks)
    await holds(pool, [*ticks, ether, *told((80, "4"))])


async def test_two_workers_at_one_listing_do_not_miss_each_others_ticks(pool: Pool) -> None:
    """One moves it to the next hour and has not committed; the other has a late tick of the hour before, and a newer one."""
    held, (moving,), others = told((10, "5")), told((61, "6")), told((20, "1"), (62, "7"), uid="eth")
    assert place_of("btc") != place_of("eth")
    await write(pool, held)
    async with asyncio.timeout(60), asyncio.TaskGroup() as tasks, pool.acquire() as holder, holder.transaction():
        await holder.execute("LOCK TABLE assets IN SHARE MODE")  # which a chunk writes last
        tasks.create_task(write(pool, [moving]))
        await waiting(pool, 1)
        tasks.create_task(write(pool, others))
        await waiting(pool, 2)
        assert await rows_in(pool) == {}
    await holds(pool, [*held, moving, *others])
    assert len(await rows_in(pool)) == 1


async def waiting(pool: Pool, sessions: int) -> None:
    async def wait() -> bool:
        waits = "SELECT count(*) FROM pg_stat_activity WHERE wait_event_type = 'Lock' AND datname = current_database()"
        return bool(await pool.fetchval(waits) == sessions)

    await eventually(wait, f"{sessions} wait for a lock")


async def test_many_workers_at_the_same_listings_keep_what_is_promised(pool: Pool) -> None:
    """Each has its own symbol and with that its own locks; they meet at the listings, which change their symbol all the time."""
    shuffled = random.Random(7).sample(range(400), 200)
    by_uid = {
        uid: [
            tick(listing, uid, minute=minute, price=str(1 + minute % 13))
            for minute in shuffled[place::3]
            for listing in ("bitcoin", "ether")
        ]
        for place, uid in enumerate(("btc", "eth", "sol"))
    }
    async with asyncio.timeout(120), asyncio.TaskGroup() as tasks:
        for ticks in by_uid.values():
            tasks.create_task(write_all(pool, [ticks[first : first + 9] for first in range(0, len(ticks), 9)]))
    told_in_all = [one for ticks in by_uid.values() for one in ticks]
    await holds(pool, told_in_all)
    assert await ticks_in(pool) == ticks_of(quotes_of(told_in_all))


async def write_all(pool: Pool, chunks: Sequence[Sequence[Tick]]) -> None:
    for chunk in chunks:
        await write(pool, chunk)


async def test_a_listing_that_falls_silent_has_its_last_hour_as_a_row_when_its_day_is_dropped(pool: Pool) -> None:
    ticks = told((-90, "4"), (10, "5"), (20, "7"))
    await write(pool, ticks, SHORT)
    before = await candles_in(pool)
    assert len(await rows_in(pool)) == 1
    assert await drop_old(pool, START + 5 * DAY) == [TODAY.name]
    assert await rows_in(pool) == before == await candles_in(pool)
    late = told((30, "1"))
    await write(pool, late, later(5))
    await write(pool, told((5 * 1440, "9")), later(5))
    assert await promises_broken(pool, quotes_of([*ticks, *late, *told((5 * 1440, "9"))])) == {}


async def test_a_month_whose_partition_is_not_there_gets_one_when_a_day_of_it_is_dropped(pool: Pool) -> None:
    ticks = told((10, "5"))
    await write(pool, ticks, SHORT)
    await pool.execute("DROP TABLE candles_1h_202607")
    assert await drop_old(pool, START + 5 * DAY) == [TODAY.name]
    assert await rows_in(pool) == candles_of(quotes_of(ticks), HOUR)


async def test_a_late_tick_of_the_open_hour_finds_it_whole_while_the_late_day_is_still_there(pool: Pool) -> None:
    """It is no tick of the history, and so the hour has to be a row before: with the ticks that are."""
    ticks = told((10, "5"), (20, "7"))
    await write(pool, ticks, SHORT)
    late = told((30, "1"), (5, "2"))
    await write(pool, late[:1], later(4))
    assert await rows_in(pool) == candles_of(quotes_of([*ticks, *late[:1]]), HOUR)
    await write(pool, [*late, *ticks], later(4))
    assert await rows_in(pool) == candles_of(quotes_of([*ticks, *late]), HOUR) == await candles_in(pool)
    assert len(await ticks_in(pool)) == 2
    now = told((4 * 1440, "9"))
    await write(pool, now, later(4))
    await holds(pool, [*ticks, *late, *now])


async def test_who_leaves_an_hour_whose_day_is_past_keeping_closes_it_with_what_is_there(pool: Pool) -> None:
    ticks = told((10, "5"), (20, "7"))
    await write(pool, ticks, SHORT)
    late, now = told((30, "1")), told((4 * 1440, "9"))
    await write(pool, [*now, *late], later(4))
    await holds(pool, [*ticks, *late, *now])


class Interrupted:
    """A connection before whose DROP something else happens."""

    def __init__(self, connection: Any, meanwhile: Any) -> None:
        self.connection = connection
        self.meanwhile = meanwhile

    def __getattr__(self, name: str) -> Any:
        return getattr(self.connection, name)

    async def execute(self, statement: str, *arguments: Any) -> Any:
        if statement.startswith("DROP"):
            await self.meanwhile()
        return await self.connection.execute(statement, *arguments)


async def test_who_takes_a_day_for_kept_that_another_drops_loses_no_tick_of_its_candle(pool: Pool) -> None:
    """Their settings differ. The writer waits, finds the day gone, makes it again, and the row is there."""
    ticks, meant = told((10, "5")), told((20, "7"))
    await write(pool, ticks, SHORT)
    writing: list[asyncio.Task[None]] = []

    async def write_meanwhile() -> None:
        writing.append(asyncio.create_task(write(pool, meant, SHORT)))

        async def waits_or_is_done() -> bool:
            waits = "SELECT count(*) FROM pg_stat_activity WHERE wait_event_type = 'Lock' AND datname = current_database()"
            return writing[0].done() or bool(await pool.fetchval(waits))

        await eventually(waits_or_is_done, "the writer waits")

    async with pool.acquire() as connection:
        interrupted: Any = Interrupted(connection, write_meanwhile)
        await drop(interrupted, TODAY, told_since=START)
    await writing[0]
    await holds(pool, ticks + meant)


async def test_a_drop_that_gives_up_has_closed_nothing(pool: Pool) -> None:
    await write(pool, told((10, "5")), SHORT)
    async with pool.acquire() as reader, reader.transaction():
        await reader.fetch("SELECT * FROM quote_history")
        with pytest.raises(InTheWayError):
            await drop_old(pool, START + 9 * DAY)
    assert await rows_in(pool) == {}


async def test_an_hour_of_a_month_whose_partition_is_not_there_gets_one(pool: Pool) -> None:
    """A worker that has just been started knows of none, and the listing has been silent since the month before."""
    june, july = told((-2 * 1440, "5")), told((10, "6"))
    await write(pool, june)
    await pool.execute("DROP TABLE candles_1h_202606")
    await write(pool, july, replace(COINGECKO, history=history()))
    await holds(pool, june + july)
    assert len(await rows_in(pool)) == 1


async def test_going_back_to_before_there_were_open_hours_leaves_a_row_of_each(pool: Pool, database_url: str) -> None:
    ticks = told((10, "5"), (70, "6"))
    await write(pool, ticks)
    await asyncio.to_thread(roll_back, database_url)
    assert await rows_in(pool) == candles_of(quotes_of(ticks), HOUR)
