"""The two providers, replaying one recorded answer each: what a producer is pointed at to read the real thing offline."""

import asyncio
import threading
from collections.abc import Iterator
from contextlib import contextmanager

import msgspec
from aiohttp import web


@contextmanager
def serve_recorded(coingecko: bytes, coinpaprika: bytes) -> Iterator[str]:
    """Serve /api/v3/coins/markets in pages and /v1/tickers whole, byte for byte, from a thread; yield the address."""
    loop = asyncio.new_event_loop()
    thread = threading.Thread(target=loop.run_forever)
    thread.start()
    runner = web.AppRunner(_app(coingecko, coinpaprika))
    try:
        yield asyncio.run_coroutine_threadsafe(_listen(runner), loop).result(10)
    finally:
        asyncio.run_coroutine_threadsafe(runner.cleanup(), loop).result(10)
        loop.call_soon_threadsafe(loop.stop)
        thread.join()
        loop.close()


async def _listen(runner: web.AppRunner) -> str:
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    return f"http://127.0.0.1:{runner.addresses[0][1]}"


def _app(coingecko: bytes, coinpaprika: bytes) -> web.Application:
    rows = msgspec.json.decode(coingecko, type=list[msgspec.Raw])

    async def markets(request: web.Request) -> web.Response:
        size, page = int(request.query["per_page"]), int(request.query["page"])
        shown = rows[(page - 1) * size : page * size]
        return web.Response(body=msgspec.json.encode(shown), content_type="application/json")

    async def tickers(_: web.Request) -> web.Response:
        return web.Response(body=coinpaprika, content_type="application/json")

    app = web.Application()
    app.router.add_get("/api/v3/coins/markets", markets)
    app.router.add_get("/v1/tickers", tickers)
    return app
