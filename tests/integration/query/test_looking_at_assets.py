"""That looks miss nothing, in whatever order transactions overlap and commit: the model against what Postgres sorts itself."""

import asyncio
from collections.abc import AsyncIterator, Sequence
from contextlib import AsyncExitStack
from dataclasses import replace
from datetime import UTC, datetime
from decimal import Decimal
from itertools import product
from typing import Any, NamedTuple
from uuid import uuid4

import asyncpg
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from libs.postgres.reading.assets import AssetKey, look_at_assets
from services.query.sorted_assets import AssetPage, SortedAssets
from services.query.sorted_list import AssetOrder
from tests.integration.query.answers import until
from tests.integration.query.rows import AssetRow, connect, insert_assets

UIDS = ("a", "aa", "b", "ä", "z", "₿", "🚀", "c-d")
PUT = """
    INSERT INTO assets AS held (asset_uid, version, symbol, name, market_cap_rank, anchor_source, anchor_source_id, source,
        source_id, agreeing, listings_total, price_usd, market_cap_usd, volume_24h_usd, source_updated_at, fetched_at, tick_id,
        changed_by)
    VALUES ($1, nextval('asset_versions'), 's', $2, $3, $4, 'x', $4, 'x', '[]', 1, $5, $6, $7, now(), now(), $8, $8)
    ON CONFLICT (asset_uid) DO UPDATE SET (version, name, market_cap_rank, source, price_usd, market_cap_usd, volume_24h_usd,
        updated_at) = (excluded.version, excluded.name, excluded.market_cap_rank, excluded.source, excluded.price_usd,
        excluded.market_cap_usd, excluded.volume_24h_usd, clock_timestamp())"""
COLUMN_OF = {
    AssetOrder.RANK: "market_cap_rank",
    AssetOrder.MARKET_CAP: "market_cap_usd",
    AssetOrder.PRICE: "price_usd",
    AssetOrder.VOLUME: "volume_24h_usd",
    AssetOrder.UPDATED_AT: "updated_at",
    AssetOrder.UID: "NULL",
}
ORDERS = list(product(AssetOrder, (False, True)))
SEARCHES = (None, "a", "bit")
FOUND = [f"starts_with(asset_uid, '{text}') OR strpos(lower(name), '{text}') > 0 AS found_{text}" for text in SEARCHES if text]
PLACES = [
    f"""row_number() OVER (ORDER BY {column} IS NULL, {column} {way}, asset_uid COLLATE "C" {way}) AS {order}_{way}"""
    for order, column in COLUMN_OF.items()
    for way in ("asc", "desc")
]
IN_EVERY_ORDER = f"SELECT asset_uid, version, updated_at, source, {', '.join(FOUND + PLACES)} FROM assets"  # noqa: S608 -- our own


class Put(NamedTuple):
    """A row written by one of two writers, each of which has its own: neither waits for the other."""

    uid: str
    name: str
    rank: int | None
    source: str
    amounts: tuple[Decimal | None, ...]


class Delete(NamedTuple):
    uid: str


class Writer:
    """A connection that is in a transaction or not, and in a subtransaction or not."""

    def __init__(self, connection: Any) -> None:
        self._connection = connection
        self._open: list[Any] = []
        self.deletes = self.has_deleted = False

    async def write(self, what: Put | Delete) -> None:
        if isinstance(what, Delete):
            self.deletes |= await self._connection.execute("DELETE FROM assets WHERE asset_uid = $1", what.uid) != "DELETE 0"
        else:
            uid, name, rank, source, amounts = what
            await self._connection.execute(PUT, uid, name, rank, source, *amounts, uuid4())
        self._note_committed()

    async def begin(self) -> None:
        self._open.append(self._connection.transaction())
        await self._open[-1].start()

    async def end(self, *, kept: bool) -> None:
        if self._open:
            transaction = self._open.pop()
            await (transaction.commit() if kept else transaction.rollback())
            self._note_committed()

    async def end_all(self) -> None:
        while self._open:
            await self.end(kept=True)

    def _note_committed(self) -> None:
        if not self._open:
            self.has_deleted |= self.deletes
            self.deletes = False


AMOUNTS = st.sampled_from([None, *map(Decimal, ("1", "1.0", "9", "10", "-3", "3.84e-18"))])
PUTS = st.builds(
    Put,
    st.sampled_from(UIDS),
    st.sampled_from(["Bitcoin", "RABBIT", "Ether"]),
    st.sampled_from([None, 1, 2, 3]),
    st.sampled_from(["csv", "coingecko"]),
    st.tuples(AMOUNTS, AMOUNTS, AMOUNTS),
)
WRITES = st.one_of(PUTS, PUTS, PUTS, st.builds(Delete, st.sampled_from(UIDS)))
STEPS = st.lists(
    st.one_of(
        WRITES, WRITES, *[st.just("look")] * 2, st.tuples(st.sampled_from(["begin", "commit", "rollback"]), st.booleans())
    ),
    max_size=40,
)  # fmt: skip


@pytest.fixture
async def three(database_url: str) -> AsyncIterator[list[Any]]:
    async with AsyncExitStack() as stack:
        connections = [await connect(database_url) for _ in range(3)]
        for connection in connections:
            stack.push_async_callback(connection.close)
        yield connections


@settings(max_examples=60, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(steps=STEPS)
async def test_whatever_overlaps_commits_late_or_rolls_back_the_pages_are_those_that_postgres_sorts(
    three: list[Any], steps: Sequence[Any]
) -> None:
    reader, *connections = three
    await reader.execute("TRUNCATE assets")
    writers = [Writer(connection) for connection in connections]
    assets = await anew(reader)
    for step in [*steps, "look", "end", "look"]:
        match step:
            case "look":
                assets = await looked(reader, assets, writers)
                await check(reader, assets)
            case "end":
                for writer in writers:
                    await writer.end_all()
            case Put() | Delete():
                await writers[UIDS.index(step.uid) % 2].write(step)
            case "begin", number:
                await writers[number].begin()
            case how, number:
                await writers[number].end(kept=how == "commit")


async def looked(reader: Any, assets: SortedAssets, writers: Sequence[Writer]) -> SortedAssets:
    """Look as HeldAssets does; nothing but a deletion may make reading everything anew necessary."""
    has_deleted = any(writer.has_deleted for writer in writers)
    for writer in writers:
        writer.has_deleted = False
    if await assets.take(await look_at_assets(reader, assets.horizon)):
        return assets
    assert has_deleted
    return await anew(reader)


async def anew(reader: Any) -> SortedAssets:
    assets = SortedAssets()
    assert await assets.take(await look_at_assets(reader, None))
    return assets


async def check(reader: Any, assets: SortedAssets) -> None:
    rows = await reader.fetch(IN_EVERY_ORDER)
    for (order, descending), source, search in product(ORDERS, (None, "csv"), SEARCHES):
        way = "desc" if descending else "asc"
        fit = [row for row in rows if source in {None, row["source"]} and (search is None or row[f"found_{search}"])]
        expected = [tuple(row)[:3] for row in sorted(fit, key=lambda row: row[f"{order}_{way}"])]
        page = AssetPage(order, descending, limit=3, source=source, search=search)
        await assets.sort(order, source)
        found = [await assets.page(replace(page, offset=offset)) for offset in range(0, len(expected) + 1, 3)]
        assert [key[:3] for each in found for key in each.keys] == expected, page
        assert {each.total for each in found} == {len(expected)}
        assert [key[:3] for key in await walked(assets, page)] == expected, page


async def walked(assets: SortedAssets, page: AssetPage) -> list[AssetKey]:
    keys: list[AssetKey] = []
    while True:
        found = await assets.page(page)
        keys += found.keys
        if found.end is None:
            return keys
        page = replace(page, after=found.end)


async def test_a_look_brings_what_may_be_new_and_its_moment_is_before_its_snapshot(three: list[Any]) -> None:
    reader, early, late = three
    await insert_assets(reader, [AssetRow(uid) for uid in ("a", "b", "c", "d")])
    first = await look_at_assets(reader, None)
    assert {key.asset_uid for key in first.keys} == {"a", "b", "c", "d"}
    quiet = await look_at_assets(reader, first.horizon)
    assert (quiet.keys, quiet.assets, quiet.versions) == ([], 4, first.versions)
    transaction = early.transaction()
    await transaction.start()
    await early.execute("UPDATE assets SET version = nextval('asset_versions') WHERE asset_uid = 'a'")
    await late.execute("UPDATE assets SET version = nextval('asset_versions') WHERE asset_uid = 'b'")
    one = await look_at_assets(reader, quiet.horizon)
    assert {key.asset_uid for key in one.keys} == {"b"}
    again = await look_at_assets(reader, one.horizon)
    assert {key.asset_uid for key in again.keys} == {"b"}, "told again while an older transaction runs"
    before = datetime.now(UTC)
    await transaction.commit()
    last = await look_at_assets(reader, again.horizon)
    assert {key.asset_uid: key.version for key in last.keys}["a"] < {key.asset_uid: key.version for key in last.keys}["b"]
    assert before < last.as_of < datetime.now(UTC)
    assert (await look_at_assets(reader, last.horizon)).keys == []


async def test_its_moment_is_when_it_was_asked_for_however_long_it_waits_for_its_snapshot(three: list[Any]) -> None:
    """The time of a later message of the driver's would be after the snapshot: what commits between them would be missing."""
    reader, writer, _ = three
    async with writer.transaction():
        await writer.execute("LOCK TABLE assets IN ACCESS EXCLUSIVE MODE")
        look = asyncio.create_task(look_at_assets(reader, None))

        async def waits() -> bool:
            return bool(await writer.fetchval("SELECT wait_event_type = 'Lock' FROM pg_stat_activity WHERE pid = $1", pid))

        pid = reader.get_server_pid()
        await until(waits)
        waited = await writer.fetchval("SELECT clock_timestamp()")
    assert (await look).as_of < waited


async def test_frozen_rows_and_ids_past_the_first_circle_are_understood(three: list[Any], database_url: str) -> None:
    reader, writer, _ = three
    await insert_assets(reader, [AssetRow("a"), AssetRow("b")])
    first = await look_at_assets(reader, None)
    await writer.execute("VACUUM (FREEZE) assets")
    assert (await look_at_assets(reader, first.horizon)).keys == []
    past = str(int(first.horizon) + 2**32)
    assert (await look_at_assets(reader, past)).keys == [], "the same place, a circle later: no xid by its text"
    with pytest.raises(asyncpg.NumericValueOutOfRangeError):
        await reader.fetchval("SELECT $1::text::xid", past)
