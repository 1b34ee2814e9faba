"""CoinGecko's endpoints, as far as producers use them: parameters, limits and errors like the provider's."""

from collections.abc import Mapping, Sequence
from http import HTTPStatus
from typing import Final

from aiohttp import web

from services.sandbox.faults.answers import answer_rows, json_answer
from services.sandbox.market.market import Ranked
from services.sandbox.providers.coingecko_rows import ORDERS, WINDOWS, CoinGeckoRows
from services.sandbox.steps import Steps

PREFIX: Final = "/api/v3"
MOST_PER_PAGE: Final = 250
DEFAULT_PER_PAGE: Final = 100
MOST_DIGITS: Final = 9


def coingecko_routes(rows: CoinGeckoRows, steps: Steps) -> web.RouteTableDef:
    """Return the routes, answering from `rows` at the current step."""
    routes = web.RouteTableDef()

    @routes.get(f"{PREFIX}/ping")
    async def ping(_: web.Request) -> web.Response:
        return json_answer('{"gecko_says":"(V3) To the Moon!"}')

    @routes.get(f"{PREFIX}/coins/markets")
    async def markets(request: web.Request) -> web.Response:
        query = request.query
        if "vs_currency" not in query:
            return json_answer('{"error":"Missing parameter vs_currency"}', HTTPStatus.UNPROCESSABLE_ENTITY)
        if query["vs_currency"].lower() != "usd":
            return json_answer('{"error":"invalid vs_currency"}', HTTPStatus.UNPROCESSABLE_ENTITY)
        chosen = _page(_chosen(rows.ranked(steps.current()), query.get("ids")), query)
        windows = [window for window in WINDOWS if window in query.get("price_change_percentage", "").split(",")]
        sparkline = query.get("sparkline") == "true"
        return answer_rows(request, [rows.row(ranked, windows, sparkline=sparkline) for ranked in chosen])

    @routes.get(f"{PREFIX}/coins/{{id}}")
    async def unknown_coin(_: web.Request) -> web.Response:
        return json_answer('{"error":"Could not find coin with the given id"}', HTTPStatus.NOT_FOUND)

    @routes.get(f"{PREFIX}/{{path:.*}}")
    async def unknown_path(_: web.Request) -> web.Response:
        return json_answer('{"error":"Incorrect path. Please check the provider\'s documentation"}', HTTPStatus.NOT_FOUND)

    return routes


def page_of(request: web.Request) -> int:
    """Return the page that a request asks for; what is not a positive number is page 1, as at the provider."""
    return _positive(request.query.get("page"), default=1)


def _chosen(ranked: Sequence[Ranked], ids: str | None) -> Sequence[Ranked]:
    if not ids:
        return ranked
    wanted = frozenset(ids.split(","))
    return [listed for listed in ranked if listed.listing.entry.source_id in wanted]


def _page(ranked: Sequence[Ranked], query: Mapping[str, str]) -> Sequence[Ranked]:
    by, largest_first = ORDERS.get(query.get("order", ""), ORDERS["market_cap_desc"])
    per_page = min(_positive(query.get("per_page"), default=DEFAULT_PER_PAGE), MOST_PER_PAGE)
    start = (_positive(query.get("page"), default=1) - 1) * per_page
    return sorted(ranked, key=by, reverse=largest_first)[start : start + per_page]


def _positive(written: str | None, *, default: int) -> int:
    number = int(written) if written and written.isascii() and written.isdigit() and len(written) <= MOST_DIGITS else 0
    return number or default
