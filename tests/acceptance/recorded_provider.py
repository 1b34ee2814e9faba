"""The two providers, replaying one recorded answer each: what a producer is pointed at to read the real thing offline."""

import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from decimal import Decimal
from pathlib import Path
from typing import Any

import msgspec
from aiohttp import web

RECORDED = Path(__file__).parents[3] / "shared" / "recorded" / "payloads"
COINGECKO_250 = RECORDED / "coingecko_markets_2022-02-23_250rows.json"
COINPAPRIKA_3795 = RECORDED / "coinpaprika_tickers_full_2021-08-12_3795rows.json"


def rows_of(answer: Path) -> list[dict[str, Any]]:
    """Read an answer with its digits."""
    rows: list[dict[str, Any]] = json.loads(answer.read_text(), parse_float=Decimal)
    return rows


@asynccontextmanager
async def serve_recorded(coingecko: bytes, coinpaprika: bytes) -> AsyncIterator[str]:
    """Serve /api/v3/coins/markets in pages and /v1/tickers whole, byte for byte; yield the address."""
    rows = msgspec.json.decode(coingecko, type=list[msgspec.Raw])

    async def markets(request: web.Request) -> web.Response:
        size, page = int(request.query["per_page"]), int(request.query["page"])
        shown = rows[(page - 1) * size : page * size]
        return web.Response(body=msgspec.json.encode(shown), content_type="application/json")

    async def all_tickers(_: web.Request) -> web.Response:
        return web.Response(body=coinpaprika, content_type="application/json")

    app = web.Application()
    app.router.add_get("/api/v3/coins/markets", markets)
    app.router.add_get("/v1/tickers", all_tickers)
    runner = web.AppRunner(app)
    await runner.setup()
    try:
        site = web.TCPSite(runner, "127.0.0.1", 0)
        await site.start()
        yield f"http://127.0.0.1:{runner.addresses[0][1]}"
    finally:
        await runner.cleanup()
