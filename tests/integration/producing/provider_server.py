"""A provider on this machine whose answers a test sets: the one thing that is not real."""

import asyncio
from collections import defaultdict
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field

from aiohttp import web

Respond = Callable[[web.Request], Awaitable[web.StreamResponse]]


def answer(body: bytes | str, *, status: int = 200, content_type: str = "application/json", **headers: str) -> Respond:
    """Answer every request alike; `Retry_After="3"` sets Retry-After."""
    named = {name.replace("_", "-"): value for name, value in headers.items()}
    content = body.encode() if isinstance(body, str) else body

    async def respond(_: web.Request) -> web.StreamResponse:
        return web.Response(body=content, status=status, content_type=content_type, headers=named)

    return respond


def in_turn(*responses: Respond) -> Respond:
    """Answer one after another, the last for ever."""
    left = list(responses)

    async def respond(request: web.Request) -> web.StreamResponse:
        return await (left.pop(0) if len(left) > 1 else left[0])(request)

    return respond


@dataclass
class ProviderServer:
    """`respond[path]` is the answer of a path (`?page=2` may follow it); `requests` is what was asked."""

    base_url: str = ""
    respond: dict[str, Respond] = field(default_factory=dict)
    requests: list[web.BaseRequest] = field(default_factory=list)
    asked: asyncio.Event = field(default_factory=asyncio.Event)
    counts: defaultdict[str, int] = field(default_factory=lambda: defaultdict(int))

    async def handle(self, request: web.Request) -> web.StreamResponse:
        self.requests.append(request)
        self.asked.set()
        page = f"{request.path}?page={request.query.get('page')}"
        self.counts[page if "page" in request.query else request.path] += 1
        return await self.respond.get(page, self.respond.get(request.path, answer("{}", status=404)))(request)


@asynccontextmanager
async def open_provider() -> AsyncIterator[ProviderServer]:
    server = ProviderServer()
    app = web.Application()
    app.router.add_get("/{path:.*}", server.handle)
    runner = web.AppRunner(app, access_log=None, shutdown_timeout=0.1)
    await runner.setup()
    site = web.TCPSite(runner, "127.0.0.1", 0)
    await site.start()
    assert site._server is not None
    server.base_url = f"http://127.0.0.1:{site._server.sockets[0].getsockname()[1]}"  # type: ignore[attr-defined] # asyncio's
    try:
        yield server
    finally:
        await runner.cleanup()
