"""A CoinGecko on this machine: pages made beforehand, so that what is measured is not how fast they are made."""

import time
from collections import Counter
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from itertools import islice

from aiohttp import web

from benchmarks.ticks import Workload, make
from libs.devstack.ports import free_port

PAGE_ROWS = 250


@dataclass(slots=True)
class Provider:
    """What is answered now, page after page.

    Since that was set, `asked_at` is when the first page was asked for, and `asked` how often each was.
    """

    base_url: str
    pages: list[bytes] = field(default_factory=list)
    asked_at: float | None = None
    asked: Counter[int] = field(default_factory=Counter)

    def show(self, pages: list[bytes]) -> None:
        """Answer with these pages from now on."""
        self.pages, self.asked_at, self.asked = pages, None, Counter()

    async def answer(self, request: web.Request) -> web.Response:
        """Answer with a page; behind the last one, with an empty list."""
        self.asked_at = self.asked_at or time.monotonic()
        number = int(request.query["page"])
        self.asked[number] += 1
        body = self.pages[number - 1] if number <= len(self.pages) else b"[]"
        return web.Response(body=body, content_type="application/json")


def rounds_of_pages(work: Workload) -> Iterator[list[bytes]]:
    """Make a list of pages for each round of the workload; in each, every row differs from the round before."""
    rows = (bytes(frame.payload) for frame in make(work))
    while of_round := list(islice(rows, work.listings)):
        slices = (of_round[first : first + PAGE_ROWS] for first in range(0, len(of_round), PAGE_ROWS))
        yield [b"[" + b",".join(page) + b"]" for page in slices]


@asynccontextmanager
async def open_provider() -> AsyncIterator[Provider]:
    """Listen on a free port."""
    port = free_port()
    provider = Provider(f"http://127.0.0.1:{port}")
    app = web.Application()
    app.router.add_get("/coins/markets", provider.answer)
    runner = web.AppRunner(app, access_log=None, shutdown_timeout=0.1)
    await runner.setup()
    try:
        await web.TCPSite(runner, "127.0.0.1", port).start()
        yield provider
    finally:
        await runner.cleanup()
