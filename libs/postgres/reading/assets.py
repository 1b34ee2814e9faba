"""Reading the canonical assets: pages in every order of GET /data, totals, and assets by their uids.

A page is read as the versions that are on it; who has an asset in that version already need not read it again.

A page is read in two phases, rows with a value in the order's column and then rows without one, so that nulls come last in
both directions while one plain index (column, asset_uid) serves both, forwards and backwards, from any key.

A place is compared as `(SELECT $3)`, which hides its value from the planner. When all assets have changed since Postgres
last looked, it would take the rows behind an `updated_at` for a few dozen, and rather sort them than walk along the index:
15,000 rows a page.

Amounts are read as text: an answer needs their digits, and making decimals of them took a third of a page's time.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal
from enum import StrEnum
from typing import Any, Literal, NamedTuple, TypeAlias

from libs.postgres.pool import Connection
from libs.postgres.reading.rows import Row

KeyValue: TypeAlias = int | Decimal | str | datetime | None

_COLUMNS = """
    asset_uid, version, symbol, name, market_cap_rank, anchor_source, anchor_source_id, source, source_id, agreeing,
    listings_total, price_usd::text, market_cap_usd::text, volume_24h_usd::text,
    percent_change_1h::text, percent_change_24h::text, percent_change_7d::text,
    circulating_supply::text, total_supply::text, max_supply::text, price_spread_percent::text,
    source_updated_at, fetched_at, tick_id, warnings, updated_at"""


class AssetOrder(StrEnum):
    """What assets can be sorted by."""

    RANK = "rank"
    MARKET_CAP = "market_cap"
    PRICE = "price"
    VOLUME = "volume"
    UPDATED_AT = "updated_at"
    UID = "uid"

    @property
    def column(self) -> str:
        """The column whose value is the first part of a row's place; asset_uid is the second."""
        return _COLUMN_OF[self]


_COLUMN_OF: Mapping[AssetOrder, str] = {
    AssetOrder.RANK: "market_cap_rank",
    AssetOrder.MARKET_CAP: "market_cap_usd",
    AssetOrder.PRICE: "price_usd",
    AssetOrder.VOLUME: "volume_24h_usd",
    AssetOrder.UPDATED_AT: "updated_at",
    AssetOrder.UID: "asset_uid",
}
_TYPE_OF: Mapping[AssetOrder, str] = {
    AssetOrder.RANK: "integer",
    AssetOrder.MARKET_CAP: "numeric",
    AssetOrder.PRICE: "numeric",
    AssetOrder.VOLUME: "numeric",
    AssetOrder.UPDATED_AT: "timestamptz",
    AssetOrder.UID: "text",
}
_AMOUNTS = frozenset(order for order, kind in _TYPE_OF.items() if kind == "numeric")
_NEVER_NULL = frozenset({AssetOrder.UPDATED_AT, AssetOrder.UID})


class AssetKey(NamedTuple):
    """An asset in one version, and the value that its page is ordered by.

    A sequence that was restored from a backup gives out its versions again; with the time of writing, no two are alike.
    """

    asset_uid: str
    version: int
    updated_at: datetime
    value: KeyValue


class Place(NamedTuple):
    """Where a page ended: the order's value there (None among the rows without one) and the asset_uid."""

    value: KeyValue
    asset_uid: str


@dataclass(frozen=True, slots=True)
class AssetPage:
    """What to read: `after` is exclusive and replaces `offset`; `source` is the source of the listing taken.

    `search`, in lower case, is what a symbol begins with or a name contains.
    """

    order: AssetOrder
    descending: bool
    limit: int
    offset: int = 0
    source: str | None = None
    after: Place | None = None
    search: str | None = None


_Start = Literal["offset", "place"]
_Phase = Literal["valued", "unvalued"]

# Every parameter is bound; only names from the closed sets above are filled in, once, when this module is imported.
_TEMPLATE = """
    SELECT {columns} FROM assets
    WHERE {phase} AND {start} AND {source} AND {search}
    ORDER BY assets.{column} {direction}, asset_uid {direction}
    LIMIT $1"""
_WALK_BY_UID = """
    SELECT {columns} FROM assets
    WHERE {start} AND {source} AND {search}
    ORDER BY asset_uid {direction}
    LIMIT $1"""


_FOUND = "(starts_with(asset_uid, {text}) OR strpos(lower(name), {text}) > 0)"
"""By a walk through the rows, tens of milliseconds for 15,000: an index over names would make every tick dearer."""


def _statement(order: AssetOrder, phase: _Phase, start: _Start, *, descending: bool, by_source: bool, found: bool) -> str:
    beyond = "<" if descending else ">"
    by_uid = order is AssetOrder.UID
    valued = phase == "valued" and not by_uid
    uid, value = "(SELECT $2::text)", f"(SELECT $3::{_TYPE_OF[order]})"
    key = f"({order.column}, asset_uid) {beyond} ({value}, {uid})" if valued else f"asset_uid {beyond} {uid}"
    bound = _parameters_before_source(start, valued=valued)
    statement = (_WALK_BY_UID if by_uid else _TEMPLATE).format(
        columns=f"asset_uid, version, updated_at, {order.column}{'::text' if order in _AMOUNTS else ''} AS value",
        column=order.column,
        phase=f"{order.column} IS {'NOT ' if valued else ''}NULL",
        start=key if start == "place" else "true",
        source=f"source = ${bound}" if by_source else "true",
        search=_FOUND.format(text=f"${bound + by_source}") if found else "true",
        direction="DESC" if descending else "ASC",
    )
    return statement if start == "place" else statement + " OFFSET $2"


def _parameters_before_source(start: _Start, *, valued: bool) -> int:
    return 4 if start == "place" and valued else 3


_STARTS: tuple[_Start, ...] = ("offset", "place")
_PHASES: tuple[_Phase, ...] = ("valued", "unvalued")
_PAGES: Mapping[tuple[AssetOrder, _Phase, _Start, bool, bool, bool], str] = {
    (order, phase, start, descending, by_source, found): _statement(
        order, phase, start, descending=descending, by_source=by_source, found=found
    )
    for order in AssetOrder
    for phase in _PHASES
    for start in _STARTS
    for descending in (False, True)
    for by_source in (False, True)
    for found in (False, True)
    if phase == "valued" or order not in _NEVER_NULL
}


async def load_asset_keys(connection: Connection, page: AssetPage) -> Sequence[AssetKey]:
    """Return at most `limit` keys in order. A walk by `after` meets each asset whose value does not change exactly once."""
    among_nulls = page.after is not None and page.after.value is None and page.order is not AssetOrder.UID
    rows: Sequence[AssetKey] = [] if among_nulls else await _phase(connection, page, "valued", page.limit, page.offset)
    missing = page.limit - len(rows)
    if not missing or page.order in _NEVER_NULL:
        return rows
    return [*rows, *await _phase(connection, page, "unvalued", missing, await _offset_among_nulls(connection, page, rows))]


async def _phase(connection: Connection, page: AssetPage, phase: _Phase, limit: int, offset: int) -> Sequence[AssetKey]:
    bound: list[Any] = [limit]
    after = page.after
    if after is not None and phase == "unvalued" and after.value is not None:
        after = None  # the place was among the rows with a value; all without one follow
    start: _Start = "offset" if after is None else "place"
    if after is None:
        bound.append(0 if page.after is not None else offset)
    else:
        bound.append(after.asset_uid)
        if phase == "valued" and page.order is not AssetOrder.UID:
            bound.append(after.value)
    if page.source is not None:
        bound.append(page.source)
    if page.search is not None:
        bound.append(page.search)
    statement = _PAGES[page.order, phase, start, page.descending, page.source is not None, page.search is not None]
    return [AssetKey(*row) for row in await connection.fetch(statement, *bound)]


COUNT_VALUED: Mapping[AssetOrder, str] = {
    order: f"SELECT count(*) FROM assets WHERE {order.column} IS NOT NULL AND ($1::text IS NULL OR source = $1)"  # noqa: S608 -- closed set
    f" AND ($2::text IS NULL OR {_FOUND.format(text='$2')})"
    for order in AssetOrder
}


async def _offset_among_nulls(connection: Connection, page: AssetPage, valued: Sequence[AssetKey]) -> int:
    if valued or not page.offset:
        return 0
    return max(0, page.offset - int(await connection.fetchval(COUNT_VALUED[page.order], page.source, page.search)))


COUNT_ASSETS = "SELECT count(*) FROM assets"
COUNT_ASSETS_OF_SOURCE = "SELECT count(*) FROM assets WHERE source = $1"


COUNT_FOUND = f"SELECT count(*) FROM assets WHERE ($1::text IS NULL OR source = $1) AND {_FOUND.format(text='$2')}"  # noqa: S608 -- our own


async def count_found(connection: Connection, source: str | None, search: str) -> int:
    """Return how many assets a search finds."""
    return int(await connection.fetchval(COUNT_FOUND, source, search))


async def count_assets(connection: Connection, source: str | None) -> int:
    """Return the exact number of assets, or of those whose values come from one source."""
    if source is None:
        return int(await connection.fetchval(COUNT_ASSETS))
    return int(await connection.fetchval(COUNT_ASSETS_OF_SOURCE, source))


ASSET = f"SELECT {_COLUMNS} FROM assets WHERE asset_uid = $1"  # noqa: S608 -- our own column list


async def load_asset(connection: Connection, asset_uid: str) -> Row | None:
    """Return one canonical row."""
    return await connection.fetchrow(ASSET, asset_uid)


ASSETS = f"SELECT {_COLUMNS} FROM assets WHERE asset_uid = ANY($1::text[])"  # noqa: S608 -- our own column list


async def load_assets(connection: Connection, asset_uids: Sequence[str]) -> Sequence[Row]:
    """Return the canonical rows of those that are there, in no order."""
    return await connection.fetch(ASSETS, asset_uids)


COUNT_BY_SOURCE = "SELECT source, count(*) AS assets FROM assets GROUP BY source"


async def count_assets_by_source(connection: Connection) -> dict[str, int]:
    """Return how many assets take their values from each source."""
    return {row["source"]: row["assets"] for row in await connection.fetch(COUNT_BY_SOURCE)}
