"""A webhook that takes what Slack takes, and misbehaves when told to."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field

from aiohttp import web
from aiohttp.test_utils import TestServer

from tests.integration.query.answers import until

PATH = "/services/T000/B000/s3cr3t"
"""Whoever knows it may post: it must stand in no log."""
QUIET_SECONDS = 1.5
"""Seven looks of a watch in these tests: what would be said again would have been."""


@dataclass
class Slack:
    """What has arrived, and how the next posts are answered."""

    arrived: list[str] = field(default_factory=list)
    posts: int = 0
    misbehave: Callable[[], Awaitable[web.Response]] | None = None
    url: str = ""

    async def take(self, request: web.Request) -> web.Response:
        self.posts += 1
        said = (await request.json())["text"]
        if self.misbehave is not None:
            return await self.misbehave()
        self.arrived.append(said)
        return web.Response(text="ok")

    async def until_said(self, *words: str, seconds: float = 60.0) -> None:
        """Wait until as many messages as words have arrived, each with its words, and then hear no more."""

        async def said() -> bool:
            return len(self.arrived) >= len(words)

        await until(said, seconds=seconds)
        await asyncio.sleep(QUIET_SECONDS)
        assert len(self.arrived) == len(words), self.arrived
        for message, expected in zip(self.arrived, words, strict=True):
            assert expected in message, self.arrived


@asynccontextmanager
async def playing_slack() -> AsyncIterator[Slack]:
    slack = Slack()
    app = web.Application()
    app.router.add_post(PATH, slack.take)
    async with TestServer(app) as server:
        slack.url = str(server.make_url(PATH))
        yield slack


async def hang() -> web.Response:
    await asyncio.sleep(3_600)
    return web.Response()


async def fail() -> web.Response:
    return web.Response(status=500, text="oops")


async def limit() -> web.Response:
    return web.Response(status=429, headers={"Retry-After": "4"}, text="rate_limited")
