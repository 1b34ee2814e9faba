"""GET /data: the canonical assets."""

from collections.abc import Sequence
from datetime import datetime
from functools import partial
from typing import Literal

from aiohttp import web
from pydantic import Field

from libs.postgres.reading.acquiring import reading
from libs.postgres.reading.assets import load_asset
from services.query.cursors import decode_cursor, encode_cursor, read_asset_value
from services.query.endpoints import Parameters
from services.query.keys import GATHERED_ASSETS, HELD_ASSETS, READERS, RENDERED_ASSETS
from services.query.parameters import CursorText, Limit, Offset, SearchText, SourceFilter, Symbol
from services.query.problems import AssetNotFoundError, InvalidParameterError
from services.query.rendering import ATTRIBUTION, Answer
from services.query.sorted_assets import AssetPage
from services.query.sorted_list import AssetOrder, Place
from services.query.views.assets import asset_body, asset_detail_body

Sort = Literal[
    "rank",
    "-rank",
    "market_cap",
    "-market_cap",
    "price",
    "-price",
    "volume",
    "-volume",
    "updated_at",
    "-updated_at",
    "uid",
    "-uid",
]


class AssetsAsked(Parameters):
    """A page of assets."""

    limit: Limit = 50
    offset: Offset = 0
    cursor: CursorText | None = None
    source: SourceFilter | None = Field(None, description="Only assets whose values come from a listing of this source")
    symbol: Symbol | None = None
    search: SearchText | None = None
    sort: Sort = Field("rank", description="`-` for descending; assets without the value come last in both directions")


class CountAsked(Parameters):
    """A total."""

    source: SourceFilter | None = Field(None, description="Only assets whose values come from a listing of this source")


class AssetAsked(Parameters):
    """One asset."""

    asset_uid: Symbol


async def list_assets(request: web.Request, asked: AssetsAsked) -> Answer:
    """Return a page of assets."""
    page = _page(asked)
    if asked.symbol is not None:
        return await _by_symbol(request, asked, asked.symbol)
    assets = await request.app[HELD_ASSETS].current(page.order, page.source)
    found = await assets.page(page)
    data = await request.app[RENDERED_ASSETS].of(found.keys)
    next_cursor = None if found.end is None else encode_cursor(_bound_to(asked), *found.end)
    return _answer(asked, data, found.total, next_cursor, found.as_of)


async def count(request: web.Request, asked: CountAsked) -> Answer:
    """Return how many assets there are."""
    total = (await request.app[HELD_ASSETS].current(AssetOrder.UID, asked.source)).count(asked.source)
    return Answer({"total": total, "source": asked.source, "attribution": ATTRIBUTION})


async def get_asset(request: web.Request, asked: AssetAsked) -> Answer:
    """Return one asset with everything that it was made from."""
    rows = await request.app[GATHERED_ASSETS].load(asked.asset_uid)
    if not rows:
        raise AssetNotFoundError(f"there is no asset {asked.asset_uid!r}", asset_uid=asked.asset_uid)
    return Answer(asset_detail_body(rows))


def _page(asked: AssetsAsked) -> AssetPage:
    order = AssetOrder(asked.sort.removeprefix("-"))
    if asked.search is not None and asked.symbol is not None:
        raise InvalidParameterError("symbol: cannot be combined with search", parameter="symbol")
    if asked.cursor is None:
        return AssetPage(order, asked.sort.startswith("-"), asked.limit, asked.offset, asked.source, search=asked.search)
    if asked.offset or asked.symbol is not None:
        taken = "offset" if asked.offset else "symbol"
        raise InvalidParameterError(f"{taken}: cannot be combined with cursor", parameter=taken)
    value, asset_uid = decode_cursor(asked.cursor, _bound_to(asked), partial(read_asset_value, order))
    after = Place(value, asset_uid)
    return AssetPage(order, asked.sort.startswith("-"), asked.limit, source=asked.source, after=after, search=asked.search)


def _bound_to(asked: AssetsAsked) -> str:
    return f"{asked.sort}:{asked.source or ''}" + (f":{asked.search}" if asked.search else "")


async def _by_symbol(request: web.Request, asked: AssetsAsked, symbol: str) -> Answer:
    """Find one asset by its key, as Postgres has it now."""
    async with reading(request.app[READERS]) as connection:
        as_of, row = await load_asset(connection, symbol)
    if row is None or (asked.source is not None and row["source"] != asked.source):
        return _answer(asked, [], 0, None, as_of)
    return _answer(asked, [] if asked.offset else [asset_body(row)], 1, None, as_of)


def _answer(asked: AssetsAsked, data: Sequence[object], total: int, next_cursor: str | None, as_of: datetime) -> Answer:
    body = {
        "data": data,
        "total": total,
        "limit": asked.limit,
        "offset": asked.offset,
        "next_cursor": next_cursor,
        "attribution": ATTRIBUTION,
    }
    return Answer(body, as_of=as_of)
