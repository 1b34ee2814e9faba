"""CoinPaprika's endpoints, as far as producers use them: parameters and errors like the provider's."""

import json
from http import HTTPStatus
from typing import Final

from aiohttp import web

from services.sandbox.faults.answers import FAULT, answer_rows, json_answer
from services.sandbox.providers.coinpaprika_rows import CoinPaprikaRows
from services.sandbox.steps import Steps

PREFIX: Final = "/v1"


def coinpaprika_routes(rows: CoinPaprikaRows, steps: Steps) -> web.RouteTableDef:
    """Return the routes, answering from `rows` at the current step."""
    routes = web.RouteTableDef()

    @routes.get(f"{PREFIX}/tickers")
    async def tickers(request: web.Request) -> web.Response:
        if request.query.get("quotes", "USD").upper() != "USD":
            return json_answer('{"error":"invalid quotes (the sandbox knows USD)"}', HTTPStatus.BAD_REQUEST)
        step = steps.current()
        return answer_rows(request, rows.at(step)) if FAULT in request else json_answer(rows.body_at(step))

    @routes.get(f"{PREFIX}/tickers/{{id}}")
    async def ticker(request: web.Request) -> web.Response:
        row = rows.of(request.match_info["id"], steps.current())
        return json_answer(row) if row is not None else _not_found()

    @routes.get(f"{PREFIX}/global")
    async def market(_: web.Request) -> web.Response:
        tickers = [json.loads(row) for row in rows.at(steps.current())]
        caps = [ticker["quotes"]["USD"]["market_cap"] for ticker in tickers]
        volumes = [ticker["quotes"]["USD"]["volume_24h"] for ticker in tickers]
        bitcoin = next((cap for cap, ticker in zip(caps, tickers, strict=True) if ticker["id"] == "btc-bitcoin"), 0)
        answer = {
            "market_cap_usd": sum(caps),
            "volume_24h_usd": round(sum(volumes)),
            "bitcoin_dominance_percentage": round(100 * bitcoin / max(1, sum(caps)), 2),
            "cryptocurrencies_number": len(tickers),
            "last_updated": steps.current() * steps.step_seconds,
        }
        return json_answer(json.dumps(answer, separators=(",", ":")))

    @routes.get(f"{PREFIX}/{{path:.*}}")
    async def unknown_path(_: web.Request) -> web.Response:
        return _not_found()

    return routes


def _not_found() -> web.Response:
    return json_answer('{"error":"id not found"}', HTTPStatus.NOT_FOUND)
