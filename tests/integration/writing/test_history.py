"""The history is what was told, in whatever order it came: ticks by event time, and candles as one makes them by hand."""

import asyncio
from collections.abc import Sequence
from dataclasses import replace
from datetime import datetime, timedelta
from decimal import Decimal
from typing import Any

import asyncpg
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from libs.domain.candles import Interval, Span, bucket_at, next_bucket
from libs.domain.identity import Listing
from libs.domain.numbers import number_of
from libs.domain.quotes import Quote
from libs.postgres.pool import Pool
from libs.postgres.reading.history import load_candles
from libs.postgres.writing.chunks import Destination
from libs.postgres.writing.history_retention import drop, forget_late, load_old
from libs.postgres.writing.partitions import CANDLES, TICKS, Partition, ensure
from libs.postgres.writing.rebuilding import emptied
from libs.postgres.writing.retention import InTheWayError
from libs.postgres.writing.ticks import Tick
from tests.integration.writing.by_hand import ByHand, candles_of, ticks_of
from tests.integration.writing.conftest import (
    COINGECKO,
    EMPTY,
    PRIORITIES,
    START,
    history,
    numbered,
    place_of,
    snapshot,
    tick,
    write_chunk,
)

DAY = timedelta(days=1)
HOUR = timedelta(hours=1)
BITCOIN = Listing("coingecko", "bitcoin")
SHORT = replace(COINGECKO, history=history(ticks_for=3 * DAY, candles_for=60 * DAY))
"""Keeps ticks for three days."""


async def ticks_in(pool: Pool) -> dict[Any, Any]:
    rows = await pool.fetch("SELECT * FROM quote_history")
    return {
        (Listing(row["source"], row["source_id"]), row["event_time"], row["tick_id"]): (
            *(row["price_usd"], row["first_fetched_at"], row["fetched_at"]),
        )
        for row in rows
    }


async def candles_in(pool: Pool, table: str = "candles_1h_all") -> dict[Any, ByHand]:
    """Of hours that are over, and of the open ones."""
    rows = await pool.fetch(f"SELECT * FROM {table}")  # noqa: S608 - our own names
    return {
        (Listing(row["source"], row["source_id"]), row["started_at"]): ByHand(*(row[name] for name in ByHand._fields))
        for row in rows
    }


async def promises_broken(pool: Pool, told: Sequence[Quote]) -> dict[Any, Any]:
    """What does not hold of libs.postgres.writing.candles: each row is whole, and only a listing's open hour has none."""
    by_hand, rows = candles_of(told, HOUR), await candles_in(pool, "candles_1h")
    newest = await pool.fetch("SELECT source, source_id, source_updated_at FROM quotes")
    open_hours = {(Listing(source, source_id), bucket_at(at, HOUR)) for source, source_id, at in newest}
    not_whole = {hour: (row, by_hand.get(hour)) for hour, row in rows.items() if row != by_hand.get(hour)}
    return not_whole | dict.fromkeys(by_hand.keys() - rows.keys() - open_hours, "has no row")


def candle(opened: int, high: int, low: int, closed: int, ticks: int) -> ByHand:
    return ByHand(Decimal(opened), Decimal(high), Decimal(low), Decimal(closed), ticks)


async def write(pool: Pool, ticks: Sequence[Tick], destination: Destination = COINGECKO) -> None:
    await write_chunk(pool, destination, place_of("btc"), numbered(list(ticks)))


async def test_ticks_that_come_late_correct_the_candle_that_they_belong_to(pool: Pool) -> None:
    for minute, price in ((20, "5"), (40, "7"), (70, "3"), (10, "9"), (50, "1")):
        await write(pool, [tick("bitcoin", "btc", minute=minute, price=price)])
    assert await candles_in(pool) == {(BITCOIN, START): candle(9, 9, 1, 1, 4), (BITCOIN, START + HOUR): candle(3, 3, 3, 3, 1)}
    assert len(await ticks_in(pool)) == 5
    assert await pool.fetchval("SELECT price_usd FROM quotes") == 3


async def test_a_price_that_comes_back_is_a_tick_each_time_and_one_that_is_told_again_is_not(pool: Pool) -> None:
    there, elsewhere, back = (
        tick("bitcoin", "btc", minute=minute, price=price) for minute, price in ((1, "5"), (2, "6"), (3, "5"))
    )
    same = back._replace(payload=there.payload, quote=back.quote._replace(tick_id=there.quote.tick_id))
    again = there._replace(quote=there.quote._replace(fetched_at=there.quote.fetched_at + HOUR))
    for told in ([there], [elsewhere, again], [same, there], [again, again]):
        await write(pool, told)
    assert await candles_in(pool) == {(BITCOIN, START): candle(5, 6, 5, 5, 3)}
    assert await ticks_in(pool) == ticks_of(one.quote for one in (there, elsewhere, same, again))


async def test_of_two_contents_of_one_moment_the_one_that_was_fetched_later_closes(pool: Pool) -> None:
    """As `quotes` has it: a file is edited, and its row says the same date."""
    first, edited = tick("bitcoin", "btc", price="5"), tick("bitcoin", "btc", price="6")
    edited = edited._replace(quote=edited.quote._replace(fetched_at=first.quote.fetched_at + HOUR))
    for told in ([first, edited], [edited, first]):
        await pool.execute(EMPTY)
        for one in told:
            await write(pool, [one])
        assert await candles_in(pool) == {(BITCOIN, START): candle(5, 6, 5, 6, 2)}
        assert await pool.fetchval("SELECT price_usd FROM quotes") == 6


async def test_without_a_price_there_is_a_tick_and_no_candle(pool: Pool) -> None:
    one = tick("bitcoin", "btc")
    await write(pool, [one._replace(quote=one.quote._replace(price_usd=None))])
    assert (len(await ticks_in(pool)), await candles_in(pool)) == (1, {})


ROWS_OF_OPEN_HOURS = "INSERT INTO candles_1h SELECT * FROM candles_1h_all ON CONFLICT DO NOTHING"
"""As versions did that knew of no open hours."""
MOMENTS = [START + timedelta(minutes=minute) for minute in (0, 1, 59, 60, 61, 12 * 60 - 1, 12 * 60)]


@st.composite
def tellings(draw: st.DrawFn) -> Tick:
    """Few listings, moments, prices and times of fetching, so that they meet; contents that differ and prices that do not."""
    listing, at = draw(st.sampled_from(["bitcoin", "ether", "ether "])), draw(st.sampled_from(MOMENTS))
    price = draw(st.sampled_from([None, "1", "1.0", "2.50", "0", "3.84e-18"]))
    content = draw(st.integers(0, 3))
    one = tick(listing, "btc", payload=f'{{"id":"{listing}","price":"{price}","content":{content}}}')
    fetched_at = START + timedelta(hours=draw(st.integers(0, 3)))
    amount = None if price is None else number_of(Decimal(price))
    return one._replace(quote=one.quote._replace(source_updated_at=at, fetched_at=fetched_at, price_usd=amount))


@settings(max_examples=40, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(told=st.lists(tellings(), max_size=40), data=st.data())
async def test_whatever_the_order_the_repetitions_and_the_chunks_it_is_what_one_makes_by_hand(
    pool: Pool, told: list[Tick], data: st.DataObject
) -> None:
    """Nor what happens in between: a rebuild, after which all is told again; an older version, which has rows of open hours."""
    await pool.execute(EMPTY)
    coming = data.draw(st.permutations(told + data.draw(st.lists(st.sampled_from(told), max_size=8)) if told else told))
    came: list[Quote] = []
    while coming:
        size = data.draw(st.integers(1, len(coming)))
        await write(pool, coming[:size])
        came += [one.quote for one in coming[:size]]
        coming = coming[size:]
        between = data.draw(st.sampled_from([None, None, None, ROWS_OF_OPEN_HOURS, "rebuild"]))
        if between == "rebuild":
            async with emptied(pool, {"coingecko": "raw_coingecko"}, PRIORITIES):
                pass
            coming = coming + told if len(came) < 2 * len(told) else coming
        elif between:
            await pool.execute(between)
        assert await promises_broken(pool, came) == {}
        assert await candles_in(pool) == candles_of(came, HOUR)
    quotes = [one.quote for one in told]
    assert await ticks_in(pool) == ticks_of(quotes)
    assert await candles_in(pool) == candles_of(quotes, HOUR)
    for interval in Interval:
        assert await folded(pool, interval) == candles_of(quotes, interval.width), interval
    await write(pool, told)  # the quotes too, if it ends with a rebuild
    newest = await pool.fetch("SELECT source_id, price_usd FROM quotes WHERE price_usd IS NOT NULL")
    closes = {listing.source_id: one.close for (listing, _), one in sorted((await candles_in(pool)).items())}
    assert {row["source_id"]: row["price_usd"] for row in newest}.items() <= closes.items()


async def folded(pool: Pool, interval: Interval) -> dict[Any, ByHand]:
    """Candles of each listing as the API reads them."""
    span = Span(bucket_at(START, interval.width), next_bucket(START + DAY, interval.width))
    found: dict[Any, ByHand] = {}
    for source, source_id in await pool.fetch("SELECT DISTINCT source, source_id FROM quote_history"):
        listing = Listing(source, source_id)
        async with pool.acquire() as connection:
            for row in await load_candles(connection, [listing], interval, span):
                opened, high, low, closed = (Decimal(row[name]) for name in ("open", "high", "low", "close"))
                found[listing, row["started_at"]] = ByHand(opened, high, low, closed, row["ticks"])
    return found


async def test_ticks_whose_day_is_past_keeping_are_in_their_candle_once_and_nowhere_else(pool: Pool) -> None:
    old, older, ancient = (tick("bitcoin", "btc", minute=-minute, price="5") for minute in (5 * 1440, 6 * 1440, 61 * 1440))
    young = tick("bitcoin", "btc", minute=-2 * 1440, price="7")
    for told in ([old, young, ancient], [older, old, old], [young, older]):
        await write(pool, told, SHORT)
    assert await ticks_in(pool) == ticks_of([young.quote])
    assert await candles_in(pool) == candles_of([one.quote for one in (old, older, young)], HOUR)
    names = await partitions_of(pool)
    assert TICKS + "_20260629" in names
    assert not {TICKS + "_20260626", TICKS + "_20260625", CANDLES + "_202605"} & names


async def partitions_of(pool: Pool) -> set[str]:
    return {
        row[0]
        for row in await pool.fetch("SELECT relname FROM pg_inherits JOIN pg_class ON pg_class.oid = inhrelid AND relkind = 'r'")
    }


def later(days: float, *, ticks_for: timedelta = 3 * DAY) -> Destination:
    """The same, so many days later."""
    kept = SHORT.history
    return replace(SHORT, history=replace(kept, utc=lambda: START + days * DAY, ticks_for=ticks_for, there=set()))


async def drop_old(pool: Pool, now: datetime) -> list[str]:
    dropped = []
    async with pool.acquire() as connection:
        for one in await load_old(connection, SHORT.history.edges(now)):
            await drop(connection, one, told_since=now - 2 * DAY)
            dropped.append(one.name)
    return dropped


async def test_a_day_that_was_dropped_counts_nothing_twice_when_its_ticks_come_again(pool: Pool) -> None:
    """A listing that has said the same for days is told again and again; and a replay reads what the topic has."""
    stuck, moved = tick("bitcoin", "btc", price="5"), tick("ether", "eth", minute=1, price="6")
    again = stuck._replace(quote=stuck.quote._replace(fetched_at=START + 4 * DAY))
    await write(pool, [stuck, moved], SHORT)
    before = await candles_in(pool)
    await write(pool, [again], later(3))
    assert await drop_old(pool, START + 3 * DAY) == []
    assert await drop_old(pool, START + 5 * DAY) == ["quote_history_20260701"]
    for destination in (later(5), later(5, ticks_for=90 * DAY)):  # also where somebody keeps them for longer now
        await write(pool, [again, stuck], destination)
        assert await candles_in(pool) == before
        assert await ticks_in(pool) == {}
    assert await forgotten(pool, before=START) == 0
    await pool.execute("UPDATE late_ticks SET seen_at = $1", START)
    assert await forgotten(pool, before=START + DAY) == 1


async def test_a_tick_that_is_told_again_while_its_late_day_is_still_there_counts_once(pool: Pool) -> None:
    """Its listing says the same for months; between the edge of keeping and the drop of its day lies a day or more."""
    stuck = tick("bitcoin", "btc", price="5")
    await write(pool, [stuck], SHORT)
    before = await candles_in(pool)
    for _ in range(2):
        await write(pool, [stuck], later(4))
        assert await candles_in(pool) == before
    assert await drop_old(pool, START + 5 * DAY) == ["quote_history_20260701"]
    await write(pool, [stuck], later(5))
    assert await candles_in(pool) == before


async def forgotten(pool: Pool, *, before: datetime) -> int:
    async with pool.acquire() as connection:
        return await forget_late(connection, seen_before=before, at_once=10)


async def test_a_partition_that_went_behind_our_back_is_made_again(pool: Pool) -> None:
    await write(pool, [tick("bitcoin", "btc")])
    await pool.execute("DROP TABLE quote_history_20260701")
    await write(pool, [tick("bitcoin", "btc", minute=1)])
    assert len(await ticks_in(pool)) == 1


async def test_many_make_the_same_partitions_at_once_while_others_write(pool: Pool) -> None:
    wanted = [Partition(TICKS, (START + day * DAY).date()) for day in range(-5, 5)]

    async def make() -> None:
        async with pool.acquire() as connection:
            await ensure(connection, wanted)

    async with pool.acquire() as writer, writer.transaction(), asyncio.TaskGroup() as tasks, asyncio.timeout(60):
        await writer.execute("LOCK TABLE quote_history IN ROW EXCLUSIVE MODE")  # as a chunk that is under way has it
        makers = [tasks.create_task(make()) for _ in range(4)]
        await asyncio.wait(makers)
    assert {one.name for one in wanted} <= await partitions_of(pool)


async def test_a_drop_waits_a_second_for_who_reads_and_then_gives_up(pool: Pool) -> None:
    await write(pool, [tick("bitcoin", "btc")], SHORT)
    async with pool.acquire() as reader, reader.transaction():
        await reader.fetch("SELECT * FROM quote_history")
        with pytest.raises(InTheWayError):
            await drop_old(pool, START + 9 * DAY)
        async with asyncio.timeout(30):
            await write(pool, [tick("bitcoin", "btc", minute=1)], SHORT)
    assert await drop_old(pool, START + 9 * DAY) == ["quote_history_20260701"]


async def test_a_refused_price_leaves_nothing_of_its_chunk_in_the_history(pool: Pool) -> None:
    with pytest.raises(asyncpg.PostgresError):
        await write(pool, [tick("bitcoin", "btc"), tick("huge", "btc", price="1e140000")])
    assert (await ticks_in(pool), await candles_in(pool)) == ({}, {})


async def test_the_same_chunk_again_leaves_every_table_as_it_was(pool: Pool) -> None:
    told = [tick("bitcoin", "btc", minute=minute % 90, price=str(minute)) for minute in range(50)]
    await write(pool, told)
    before = await snapshot(pool)
    assert before["candles_1h"]
    await write(pool, [*told[10:], *told])
    after = await snapshot(pool)
    assert all(after[table] == before[table] for table in before if table != "etl_run_progress")
