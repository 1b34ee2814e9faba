import asyncio
import random
from collections.abc import Awaitable, Callable
from contextlib import AbstractAsyncContextManager, nullcontext
from datetime import timedelta
from decimal import Decimal
from itertools import groupby
from typing import Any
from unittest.mock import ANY
from uuid import UUID

import asyncpg
import pytest

from libs.contracts.run_events import RunEvent, RunStarted, ShardCounts, ShardPublished
from libs.domain.anomalies import MOVE_BOUNDS, PriceMoves, moves_of
from libs.domain.assets import asset_of
from libs.domain.numbers import number_of
from libs.domain.quotes import freshness
from libs.domain.runs import Trigger
from libs.postgres.errors import is_outage, is_refusal
from libs.postgres.pool import Connection, Pool
from libs.postgres.writing import assets, run_progress
from libs.postgres.writing.chunks import LOCK, LOCK_SPACE, Destination, Entry, Part, write_together
from libs.postgres.writing.run_progress import Outcome
from libs.postgres.writing.runs import load_published, project
from libs.postgres.writing.ticks import Counted, SetAside, Tick
from tests.integration.streaming.conftest import eventually
from tests.integration.writing.conftest import (
    COINGECKO,
    COINPAPRIKA,
    EMPTY,
    PRIORITIES,
    RUN,
    START,
    numbered,
    place_of,
    snapshot,
    tick,
    unique_run,
    write_chunk,
)

LOST = (asyncpg.PostgresError, asyncpg.InterfaceError, asyncpg.InternalClientError)


async def test_a_chunk_is_stored_and_its_assets_are_to_be_published(pool: Pool) -> None:
    ticks = [tick("bitcoin", "btc", price="67685.77", rank=1), tick("tiny", "tny", price="3.84e-18")]
    written = await write_chunk(pool, COINGECKO, 0, numbered(ticks))
    assert written.counted == Counted(stored=2, duplicate=0, dead_lettered=0)
    assert [one.asset.asset_uid for one in written.changed] == ["btc", "tny"]
    assert await pool.fetchval("SELECT price_usd FROM assets WHERE asset_uid = 'tny'") == Decimal("3.84e-18")
    assert await pool.fetchval("SELECT max_supply FROM quotes WHERE source_id = 'tiny'") == Decimal(9223372036854775807)
    assert await pool.fetchval("SELECT payload->>'price' FROM raw_coingecko WHERE source_id = 'bitcoin'") == "67685.77"


async def test_the_same_chunk_again_changes_nothing_and_is_published_again(pool: Pool) -> None:
    entries = numbered([tick("bitcoin", "btc"), tick("bitcoin", "btc", minute=1), tick("ether", "eth"), tick("ether", "eth")])
    first = await write_chunk(pool, COINGECKO, 0, entries)
    before = await snapshot(pool)
    again = await write_chunk(pool, COINGECKO, 0, entries)
    assert await snapshot(pool) == before
    assert first.counted == Counted(stored=3, duplicate=1, dead_lettered=0)
    assert again.counted == Counted(stored=0, duplicate=4, dead_lettered=0)
    assert sorted(again.changed, key=lambda one: one.asset.asset_uid) == sorted(
        first.changed, key=lambda one: one.asset.asset_uid
    )
    assert before["etl_run_progress"] == [(RUN, "coingecko", 0, 3, 3, 1, 0)]


async def test_older_data_never_overwrites_newer(pool: Pool) -> None:
    await write_chunk(pool, COINGECKO, 0, numbered([tick("bitcoin", "btc", minute=5, price="5")]))
    written = await write_chunk(pool, COINGECKO, 0, numbered([tick("bitcoin", "btc", minute=4, price="4")], first=1))
    assert written.counted.stored == 1
    assert list(written.changed) == []
    assert await pool.fetchval("SELECT price_usd FROM assets") == 5


async def test_the_newest_of_a_listing_is_kept_whatever_their_order_in_a_chunk(pool: Pool) -> None:
    """Where event times are equal the time of fetching decides, and then the tick_id."""
    ticks = [tick("bitcoin", "btc", minute=5, price=str(price)) for price in range(1, 6)]
    later = ticks[2].quote.fetched_at + timedelta(seconds=1)
    ticks[2:] = [one._replace(quote=one.quote._replace(fetched_at=later)) for one in ticks[2:]]
    ticks.append(tick("bitcoin", "btc", minute=4, price="9"))
    newest = max((one.quote for one in ticks), key=freshness)
    for seed in range(6):
        await pool.execute("TRUNCATE raw_coingecko, quotes, assets")
        random.Random(seed).shuffle(ticks)
        first, second = ticks[: seed + 1], ticks[seed + 1 :]
        for offset, part in ((0, first), (len(first), second)):
            await write_chunk(pool, COINGECKO, 0, numbered(part, offset))
        assert await pool.fetchval("SELECT tick_id FROM quotes") == newest.tick_id
        assert await pool.fetchval("SELECT tick_id FROM assets") == newest.tick_id


async def test_a_content_told_twice_in_a_chunk_gives_quote_and_asset_the_same_times(pool: Pool) -> None:
    one = tick("bitcoin", "btc", minute=5)
    later = one._replace(quote=one.quote._replace(fetched_at=one.quote.fetched_at + timedelta(minutes=1)))
    for told in ([one, later], [later, one]):
        await pool.execute("TRUNCATE raw_coingecko, quotes, assets")
        written = await write_chunk(pool, COINGECKO, 0, numbered(told))
        assert [changed.asset.fetched_at for changed in written.changed] == [later.quote.fetched_at]
        for table in ("quotes", "assets"):
            assert await pool.fetchval(f"SELECT fetched_at FROM {table}") == later.quote.fetched_at  # noqa: S608 - from the line above


async def test_a_changed_symbol_touches_both_assets(pool: Pool) -> None:
    await write_chunk(pool, COINGECKO, place_of("old"), numbered([tick("one", "old"), tick("two", "old", rank=3)]))
    renamed = numbered([tick("one", "new", minute=1)], first=9)
    written = await write_chunk(pool, COINGECKO, place_of("new"), renamed)
    assert {one.asset.asset_uid: one.asset.listings_total for one in written.changed} == {"new": 1, "old": 1}
    assert list(written.gone) == []


async def test_an_asset_without_listings_is_deleted_and_its_tombstone_is_published_until_it_was(pool: Pool) -> None:
    await write_chunk(pool, COINGECKO, place_of("old"), numbered([tick("one", "old")]))
    renamed = numbered([tick("one", "new", minute=1)], first=9)
    first = await write_chunk(pool, COINGECKO, place_of("new"), renamed)
    again = await write_chunk(pool, COINGECKO, place_of("new"), renamed)
    assert list(first.gone) == list(again.gone) == ["old"]
    assert [one.asset.asset_uid for one in again.changed] == ["new"]
    back = await write_chunk(pool, COINGECKO, place_of("old"), numbered([tick("one", "old", minute=2)]))
    assert (list(back.gone), [one.asset.asset_uid for one in back.changed]) == (["new"], ["old"])
    third = await write_chunk(pool, COINGECKO, place_of("new"), renamed)
    assert list(third.gone) == []


def story(seed: int) -> list[Tick]:
    """Ticks of two sources over some minutes, with collisions of symbols and changes of symbols."""
    chance = random.Random(seed)
    ticks = []
    for minute in range(12):
        for number in range(8):
            uid = f"u{(number + (minute // 5 if number == 3 else 0)) % 5}"
            source = chance.choice(["coingecko", "coinpaprika"])
            ticks.append(
                tick(
                    f"id{number}",
                    uid,
                    source=source,
                    minute=minute,
                    price=str(chance.randrange(1, 50)),
                    rank=chance.choice([None, 1, 2]),
                )
            )
    return ticks


async def apply(pool: Pool, ticks: list[Tick], *, per_chunk: int) -> None:
    def place(one: Tick) -> tuple[str, int]:
        return one.quote.source, place_of(one.quote.asset_uid)

    offsets: dict[tuple[str, int], int] = {}
    for start in range(0, len(ticks), per_chunk):
        for (source, partition), part in groupby(sorted(ticks[start : start + per_chunk], key=place), key=place):
            held = list(part)
            first = offsets.setdefault((source, partition), 0)
            offsets[source, partition] += len(held)
            destination: Destination = COINGECKO if source == "coingecko" else COINPAPRIKA
            await write_chunk(pool, destination, partition, numbered(held, first))


async def test_any_order_of_arrival_gives_the_same_tables(pool: Pool) -> None:
    results = []
    for shuffle in range(4):
        await pool.execute(EMPTY)
        ticks = story(seed=1)
        random.Random(shuffle).shuffle(ticks)
        await apply(pool, ticks, per_chunk=7 + shuffle)
        results.append(await snapshot(pool))
    assert all(result == results[0] for result in results)
    assert len(results[0]["assets"]) == 4, "u3 lost its only listing"


async def test_two_writers_at_the_same_time_neither_deadlock_nor_disagree(pool: Pool) -> None:
    await apply(pool, story(seed=2), per_chunk=9)
    alone = await snapshot(pool)
    await pool.execute(EMPTY)
    halves = story(seed=2), story(seed=2)
    for seed, half in enumerate(halves):
        random.Random(seed).shuffle(half)
    async with asyncio.TaskGroup() as both:
        for half in halves:
            both.create_task(apply(pool, half, per_chunk=5))
    together = await snapshot(pool)
    assert together["quotes"] == alone["quotes"]
    assert together["assets"] == alone["assets"]


async def test_a_new_listing_told_under_two_symbols_at_once_leaves_one_asset(pool: Pool) -> None:
    """Of partitions with locks of their own: whoever comes second learns only from the row itself whose it was."""
    assert place_of("gold") != place_of("silver")
    first, second = tick("one", "gold"), tick("one", "silver", minute=1)
    async with pool.acquire() as connection, connection.transaction():
        await write_chunk(Only(connection), COINGECKO, place_of("gold"), numbered([first]))  # type: ignore[arg-type] # all of a pool that is used
        ours = asyncio.create_task(write_chunk(pool, COINGECKO, place_of("silver"), numbered([second])))
        await eventually(waits_for_a_lock(pool), "we wait for the other's listing")
    written = await ours
    assert ([one.asset.asset_uid for one in written.changed], list(written.gone)) == (["silver"], ["gold"])
    assert [row["asset_uid"] for row in await pool.fetch("SELECT asset_uid FROM assets")] == ["silver"]


class Only:
    """A pool of one connection, whose transaction is somebody else's to end."""

    def __init__(self, connection: Connection) -> None:
        self._connection = connection

    def acquire(self) -> AbstractAsyncContextManager[Connection]:
        return nullcontext(self._connection)


Log = dict[tuple[str, int], list[Entry]]


def logs(seed: int) -> Log:
    """A story as its partitions hold it, with ticks that come twice."""
    chance = random.Random(seed)
    held: dict[tuple[str, int], list[Tick]] = {}
    for one in story(seed):
        log = held.setdefault((one.quote.source, place_of(one.quote.asset_uid)), [])
        log.append(one)
        if chance.random() < 0.2:
            log.append(chance.choice(log))
    return {place: numbered(log) for place, log in held.items()}


async def work(pool: Pool, held: Log, seed: int) -> None:
    """Apply each partition in order, in chunks of the worker's own sizes and some together, in an order of its own."""
    chance = random.Random(seed)
    left = {place: list(entries) for place, entries in held.items()}
    while left:
        source, _ = chance.choice(sorted(left))
        parts: list[Part] = []
        for _ in range(chance.randrange(1, 4)):
            places = sorted(place for place in left if place[0] == source)
            if not places:
                break
            place = chance.choice(places)
            size = chance.randrange(1, 8)
            chunk, left[place] = left[place][:size], left[place][size:]
            if not left[place]:
                del left[place]
            parts.append(Part(place[1], chunk))
        await write_together(pool, COINGECKO if source == "coingecko" else COINPAPRIKA, parts)


async def test_two_workers_that_hold_the_same_partitions_leave_in_every_table_what_one_leaves(pool: Pool) -> None:
    """As in a rebalance, when one has not noticed yet; in many interleavings."""
    for seed in range(8):
        results = []
        for workers in (1, 2):
            await pool.execute(EMPTY)
            async with asyncio.TaskGroup() as together:
                for worker in range(workers):
                    together.create_task(work(pool, logs(seed), 100 * seed + worker))
            results.append(await snapshot(pool))
        assert results[0] == results[1], f"seed {seed}"
        stored = sum(len(results[0][table]) for table in ("raw_coingecko", "raw_coinpaprika"))
        assert await pool.fetchval("SELECT sum(stored) FROM etl_run_progress") == stored


async def redeliver(pool: Pool, held: Log, seed: int) -> None:
    """Apply each partition in transactions that end with records which came before, as after a rebalance in a lane."""
    chance = random.Random(seed)
    for (source, partition), entries in held.items():
        done = 0
        while done < len(entries):
            first, end = done, min(len(entries), done + chance.randrange(1, 8))
            middle = chance.randrange(first, end + 1)
            parts = [entries[first:middle], entries[middle:end], entries[max(0, first - 3) : end]]
            destination = COINGECKO if source == "coingecko" else COINPAPRIKA
            await write_together(pool, destination, [Part(partition, part) for part in parts])
            done = end


async def test_records_that_come_again_in_the_same_transaction_leave_what_they_leave_once(pool: Pool) -> None:
    """A lane that waits for Postgres may hold what was fetched before a rebalance, and the same again behind it."""
    for seed in range(6):
        results = []
        for again in (False, True):
            await pool.execute(EMPTY)
            async with asyncio.TaskGroup() as together:
                for worker in range(2):
                    apply = redeliver if again else work
                    together.create_task(apply(pool, logs(seed), 100 * seed + worker))
            results.append(await snapshot(pool))
        assert results[0] == results[1], f"seed {seed}"


async def test_parts_written_together_count_each_in_its_partition_and_what_was_counted_before_not_again(pool: Pool) -> None:
    one, other = numbered([tick(f"a{number}", "a") for number in range(3)]), numbered([tick("b", "b"), tick("b", "b")])
    await write_chunk(pool, COINGECKO, 1, one[:2])
    written = await write_together(pool, COINGECKO, [Part(1, one[1:]), Part(2, other), Part(1, [SetAside(3, RUN)])])
    assert written.counted == Counted(stored=2, duplicate=2, dead_lettered=1)
    counted = await pool.fetch(
        "SELECT partition, through_offset, stored, duplicate, dead_lettered FROM etl_run_progress ORDER BY partition"
    )
    assert [tuple(row.values()) for row in counted] == [(1, 3, 3, 0, 1), (2, 1, 1, 1, 0)]


async def test_a_refused_value_is_told_from_an_outage(pool: Pool) -> None:
    with pytest.raises(asyncpg.PostgresError) as nul:
        await write_chunk(pool, COINGECKO, 0, numbered([tick("nul", "nul", payload='{"name":"\\u0000"}')]))
    with pytest.raises(LOST) as huge:
        await write_chunk(pool, COINGECKO, 0, numbered([tick("huge", "huge", price="1e140000")]))
    for refused in (nul, huge):
        assert is_refusal(refused.value)
        assert not is_outage(refused.value)


async def test_records_set_aside_count_for_their_run_once(pool: Pool) -> None:
    entries: list[Entry] = [SetAside(3, RUN), SetAside(4, None), *numbered([tick("one", "one")], first=5)]
    for _ in range(2):
        written = await write_chunk(pool, COINGECKO, 2, entries)
        assert written.counted.dead_lettered == 2
    rows = await pool.fetch("SELECT * FROM etl_run_progress")
    assert [tuple(row.values()) for row in rows] == [(RUN, "coingecko", 2, 5, 1, 0, 1, None)]


async def test_price_moves_are_counted_for_their_run_once_however_they_are_cut_and_repeated(pool: Pool) -> None:
    before = [tick(name, name, price="100") for name in "abcdef"]
    await write_chunk(pool, COINGECKO, 1, numbered(before))
    run = unique_run()
    prices = {"a": "100", "b": "100.3", "c": "99.7", "d": "150", "e": "0", "g": "7"}
    moved = numbered([tick(name, name, price=price, minute=1, run_id=run) for name, price in prices.items()], first=6)
    for part in (moved[:2], moved[2:4], moved[1:], moved, moved):
        await write_chunk(pool, COINGECKO, 1, part)
    await project(pool, published(run, shard_last_offset=11))
    (waiting,) = await load_published(pool)
    by_bound = dict(zip([0.0, *MOVE_BOUNDS], waiting.moves, strict=True))
    assert {bound: count for bound, count in by_bound.items() if count} == {0.0: 1, 0.2: 2, 50.0: 1, 100.0: 1}
    assert moves_of(waiting.moves) == PriceMoves(compared=5, median_percent=ANY, large_share=0.4)


async def test_a_record_in_another_sources_topic_takes_nothing_from_a_runs_count(pool: Pool) -> None:
    run = unique_run()
    await project(pool, published(run, shard_last_offset=0))
    await write_chunk(pool, COINPAPRIKA, 0, [SetAside(500, run)])
    await write_chunk(pool, COINGECKO, 0, numbered([tick("one", "one", run_id=run)]))
    (waiting,) = await load_published(pool)
    assert (waiting.totals.stored, waiting.totals.dead_lettered) == (1, 0)


async def test_two_writers_of_the_same_records_count_them_once_although_none_is_a_tick(pool: Pool) -> None:
    bad: list[Entry] = [SetAside(number, RUN) for number in range(5)]
    async with pool.acquire() as connection, connection.transaction():
        # What another worker, that was thought dead, has done of its chunk so far.
        await connection.execute(LOCK, LOCK_SPACE, [1])
        await run_progress.count(connection, "coingecko", [Outcome(RUN, 1, number, "dead_lettered") for number in range(3)])
        ours = asyncio.create_task(write_chunk(pool, COINGECKO, 1, bad))
        await eventually(waits_for_a_lock(pool), "we wait for our turn")
    await ours
    assert await pool.fetchval("SELECT dead_lettered FROM etl_run_progress") == 5


def waits_for_a_lock(pool: Pool) -> Callable[[], Awaitable[bool]]:
    async def reached() -> bool:
        return bool(await pool.fetchval("SELECT count(*) > 0 FROM pg_locks WHERE NOT granted"))

    return reached


def published(run: UUID, *, shard_last_offset: int) -> list[RunEvent]:
    counts = ShardCounts(fetched=1, unchanged=0, published=1, dead_lettered=0)
    common: dict[str, Any] = {"run_id": run, "source": "coingecko", "at": START}
    return [
        RunStarted(**common, trigger=Trigger.MANUAL, shards=("1",)),
        ShardPublished(**common, shard="1", counts=counts, last_offsets={0: shard_last_offset}),
    ]


async def test_a_terminated_connection_is_an_outage(pool: Pool) -> None:
    async with pool.acquire() as connection:
        await pool.execute("SELECT pg_terminate_backend($1)", connection.get_server_pid())
        with pytest.raises(LOST) as ended:
            await connection.execute("SELECT 1")
        with pytest.raises(LOST) as afterwards:
            await connection.execute("SELECT 1")
    assert is_outage(ended.value)
    assert is_outage(afterwards.value)


async def test_postgres_writes_a_number_as_we_do(pool: Pool) -> None:
    """Or an asset would not be the same from quotes that were read back."""
    written = ["0", "-0", "-0.00", "0.00", "1.50", "1E+3", "3.84e-18", "-12.500", "1e300", "-1e-300", "9223372036854775807"]
    held = await pool.fetch("SELECT number::numeric::text FROM unnest($1::text[]) AS number", written)
    assert [row[0] for row in held] == [number_of(text) for text in written]


async def test_a_flag_that_changes_is_a_change_of_the_asset_and_one_that_does_not_is_none(pool: Pool) -> None:
    """Here the anchor's volume changes, which is not what the asset shows: nothing but the flag tells of it."""
    numbers: dict[str, Any] = {"market_cap_usd": number_of(10**12), "volume_24h_usd": number_of(10**9)}

    def anchored(minute: int, **said: Any) -> list[Entry]:
        plain = tick("a", "a", price="100", minute=minute, rank=1)
        return numbered([plain._replace(quote=plain.quote._replace(**numbers | said))], first=minute)

    await write_chunk(pool, COINGECKO, place_of("a"), anchored(0))
    await write_chunk(pool, COINPAPRIKA, place_of("a"), numbered([tick("a", "a", source="coinpaprika", price="100", minute=9)]))
    version = await pool.fetchval("SELECT version FROM assets WHERE source = 'coinpaprika' AND warnings = '{}'")
    unlikely = anchored(1, volume_24h_usd=number_of(5))
    (changed,) = (await write_chunk(pool, COINGECKO, place_of("a"), unlikely)).changed
    assert (changed.asset.warnings, changed.asset.taken.source) == (("volume_implausible",), "coinpaprika")
    assert changed.version > version
    held = await pool.fetch("SELECT warnings, version FROM assets")
    assert [tuple(row) for row in held] == [(["volume_implausible"], changed.version)]
    again = await write_chunk(pool, COINGECKO, place_of("a"), [*unlikely, *anchored(2, volume_24h_usd=number_of(6))])
    assert [(one.asset.warnings, one.version) for one in again.changed] == [(("volume_implausible",), changed.version)]


async def test_an_asset_whose_quote_is_not_there_is_an_error_and_is_not_left_out(pool: Pool) -> None:
    quote = tick("bitcoin", "btc").quote
    asset = asset_of([quote], PRIORITIES)
    assert asset is not None
    async with pool.acquire() as connection:
        with pytest.raises(asyncpg.NotNullViolationError, match='of relation "assets"'):
            async with connection.transaction():
                await assets.upsert_changed(connection, [asset], {"btc": quote.tick_id})
