"""Binance's endpoints, as far as the producer uses them, below a prefix of ours: CoinGecko has its paths at the root."""

from http import HTTPStatus
from typing import Final

from aiohttp import web

from services.sandbox.faults.answers import answer_rows, json_answer
from services.sandbox.providers.binance_rows import BinanceRows
from services.sandbox.steps import Steps

PREFIX: Final = "/binance/api/v3"
STATUSES: Final = frozenset({"TRADING", "HALT", "BREAK"})


def binance_routes(rows: BinanceRows, steps: Steps) -> web.RouteTableDef:
    """Return the routes, answering from `rows` at the current step."""
    routes = web.RouteTableDef()

    @routes.get(f"{PREFIX}/ping")
    async def ping(_: web.Request) -> web.Response:
        return json_answer("{}")

    @routes.get(f"{PREFIX}/ticker/24hr")
    async def tickers(request: web.Request) -> web.Response:
        status = request.query.get("symbolStatus", "TRADING")
        if status not in STATUSES:
            return json_answer(
                '{"code":-1100,"msg":"Illegal characters found in parameter \'symbolStatus\'."}', HTTPStatus.BAD_REQUEST
            )
        return answer_rows(request, rows.at(steps.current()) if status == "TRADING" else [])

    @routes.get(f"{PREFIX}/{{path:.*}}")
    async def unknown_path(_: web.Request) -> web.Response:
        return json_answer('{"code":0,"msg":"No such path (sandbox)."}', HTTPStatus.NOT_FOUND)

    return routes
