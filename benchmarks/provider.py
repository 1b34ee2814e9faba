"""Providers on this machine: answers made beforehand, so that what is measured is not how fast they are made."""

import asyncio
import time
from collections import Counter
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from itertools import islice

import msgspec
from aiohttp import web

from benchmarks.ticks import Workload, make
from libs.devstack.ports import free_port

PAGE_ROWS = 250
"""Of a page of CoinGecko's; CoinPaprika answers with everything at once."""


@dataclass(slots=True)
class Provider:
    """What is answered now, page after page, each after `answer_seconds`.

    Since that was set, `answered_at` is when the first page was, and `asked` how often each was asked for.
    """

    base_url: str
    answer_seconds: float = 0.0
    pages: list[bytes] = field(default_factory=list)
    answered_at: float | None = None
    asked: Counter[int] = field(default_factory=Counter)

    def show(self, pages: list[bytes]) -> None:
        """Answer with these pages from now on."""
        self.pages, self.answered_at, self.asked = pages, None, Counter()

    async def answer(self, request: web.Request) -> web.Response:
        """Answer with a page; behind the last one, with an empty list."""
        number = int(request.query.get("page", "1"))
        self.asked[number] += 1
        await asyncio.sleep(self.answer_seconds)
        body = self.pages[number - 1] if number <= len(self.pages) else b"[]"
        self.answered_at = self.answered_at or time.monotonic()
        return web.Response(body=body, content_type="application/json")


def rounds_of_rows(work: Workload) -> Iterator[list[bytes]]:
    """Make CoinGecko's rows for each round of the workload; in each, every row differs from the round before."""
    rows = (bytes(frame.payload) for frame in make(work))
    while of_round := list(islice(rows, work.listings)):
        yield of_round


def in_pages(rows: list[bytes]) -> list[bytes]:
    """Divide rows as CoinGecko does."""
    slices = (rows[first : first + PAGE_ROWS] for first in range(0, len(rows), PAGE_ROWS))
    return [b"[" + b",".join(page) + b"]" for page in slices]


def in_one_answer(rows: list[bytes]) -> list[bytes]:
    """Say all at once, in the words given."""
    return [b"[" + b",".join(rows) + b"]"]


def in_coinpaprikas_words(rows: list[bytes]) -> list[bytes]:
    """Say the same as CoinPaprika does: rows of some 750 bytes, all in one answer."""
    return in_one_answer([_in_coinpaprikas_words(row) for row in rows])


def _in_coinpaprikas_words(row: bytes) -> bytes:
    said = msgspec.json.decode(row)
    usd = {
        "price": said["current_price"],
        "volume_24h": said["total_volume"],
        "volume_24h_change_24h": 7.6,
        "market_cap": said["market_cap"],
        "market_cap_change_24h": -4,
        "percent_change_15m": -0.03,
        "percent_change_30m": 0.29,
        "percent_change_1h": 0.41,
        "percent_change_6h": -0.38,
        "percent_change_12h": -2,
        "percent_change_24h": said["price_change_percentage_24h"],
        "percent_change_7d": 8.16,
        "percent_change_30d": 36.37,
        "percent_change_1y": 285.08,
        "ath_price": 65028.97108592,
        "ath_date": "2021-04-14T08:53:23Z",
        "percent_from_price_ath": -31.58,
    }
    told = {
        "id": said["id"],
        "name": said["name"],
        "symbol": said["symbol"].upper(),
        "rank": said["market_cap_rank"],
        "circulating_supply": said["circulating_supply"],
        "total_supply": said["total_supply"],
        "max_supply": 0,
        "beta_value": 0.936516,
        "first_data_at": "2010-07-17T00:00:00Z",
        "last_updated": said["last_updated"],
        "quotes": {"USD": usd},
    }
    return msgspec.json.encode(told)


@asynccontextmanager
async def open_provider(*, answer_seconds: float = 0.0) -> AsyncIterator[Provider]:
    """Listen on a free port, under the paths of both."""
    port = free_port()
    provider = Provider(f"http://127.0.0.1:{port}", answer_seconds)
    app = web.Application()
    app.router.add_get("/coins/markets", provider.answer)
    app.router.add_get("/tickers", provider.answer)
    runner = web.AppRunner(app, access_log=None, shutdown_timeout=0.1)
    await runner.setup()
    try:
        await web.TCPSite(runner, "127.0.0.1", port).start()
        yield provider
    finally:
        await runner.cleanup()
