"""A client of the stream as a test plays it: what it was told, what it holds, and that it never goes back."""

import asyncio
import json
from collections.abc import AsyncIterable, AsyncIterator, Callable, Mapping
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass, field
from http import HTTPStatus
from typing import Any, NamedTuple

import aiohttp

from libs.kafka.connection import KafkaConnection
from libs.kafka.publishing import open_publisher
from libs.kafka.records import Record

WAIT_SECONDS = 60.0
QUIET_TIMEOUT = aiohttp.ClientTimeout(total=None, sock_connect=10, sock_read=45)
"""A heartbeat comes each 15 s: what says nothing for longer is gone."""


class Told(NamedTuple):
    """One event, or a heartbeat (no name)."""

    name: str | None
    id: str | None
    data: Any


def asset(uid: str, version: int, *, rank: int | None = 1, source: str = "coingecko", padding: int = 0) -> bytes:
    """Make the value of a record of assets.normalized; `padding` bytes make it as long as real ones, or longer."""
    listing = {"source": source, "source_id": uid}
    told = {
        "asset_uid": uid,
        "symbol": uid,
        "name": "x" * padding,
        "market_cap_rank": rank,
        "anchor": listing,
        "taken": listing,
        "agreeing": [listing],
        "listings_total": 1,
        "price_usd": version,
        "source_updated_at": "2026-01-01T00:00:00Z",
        "fetched_at": "2026-01-01T00:00:00Z",
        "tick_id": "00000000-0000-4000-8000-000000000000",
        "version": version,
    }
    return json.dumps(told, separators=(",", ":")).encode()


async def publish(connection: KafkaConnection, topic: str, *records: tuple[str, bytes | None]) -> None:
    async with open_publisher(connection) as publisher:
        await publisher.publish([Record(topic, uid.encode(), value) for uid, value in records])


@dataclass
class Follower:
    """Hears events until it is left."""

    held: dict[str, int] = field(default_factory=dict)
    """Each asset's version."""
    newest: dict[str, int] = field(default_factory=dict)
    told: list[Told] = field(default_factory=list)
    last_id: str | None = None
    heartbeats: int = 0
    over: bool = False
    connections: int = 0

    def hear(self, told: Told) -> None:
        if told.name is None:
            self.heartbeats += 1
            return
        self.told.append(told)
        self.last_id = told.id or self.last_id
        if told.name == "asset":
            uid, version = told.data["asset_uid"], told.data["version"]
            assert version >= self.newest.get(uid, 0), f"{uid} went back to version {version}"
            self.newest[uid] = self.held[uid] = version
        elif told.name == "removed":
            self.held.pop(told.data["asset_uid"], None)
        elif told.name == "reset":
            self.held.clear()
            self.newest.clear()

    def named(self, name: str) -> list[Told]:
        return [one for one in self.told if one.name == name]

    @property
    def skipped(self) -> int:
        return sum(one.data["skipped"] for one in self.named("conflated"))

    async def until(self, reached: Callable[["Follower"], bool], seconds: float = WAIT_SECONDS) -> None:
        try:
            async with asyncio.timeout(seconds):
                while not reached(self):  # noqa: ASYNC110 - its own task hears
                    await asyncio.sleep(0.01)
        except TimeoutError:
            raise AssertionError(f"waited in vain; last told: {self.told[-5:]}, holds {len(self.held)} assets") from None

    async def follow(self, session: aiohttp.ClientSession, url: str, breaks_off: asyncio.Event) -> None:
        """Follow until cancelled, and come again with the last id whenever the stream ends, or `breaks_off` is set."""
        while True:
            breaks_off.clear()
            headers = {"Last-Event-ID": self.last_id} if self.last_id is not None else {}
            with suppress(aiohttp.ClientError, OSError, TimeoutError):
                async with session.get(url, headers=headers, timeout=QUIET_TIMEOUT) as response:
                    if response.status == HTTPStatus.OK:
                        await self._hear_all(response, breaks_off)
            self.connections += 1
            await asyncio.sleep(0.1)

    async def _hear_all(self, response: aiohttp.ClientResponse, breaks_off: asyncio.Event) -> None:
        async for told in events_of(response.content):
            if breaks_off.is_set():  # in the midst of what it is sent
                return
            self.hear(told)

    async def until_holds(self, **versions: int) -> None:
        await self.until(lambda one: one.held == versions)


async def events_of(content: AsyncIterable[bytes]) -> AsyncIterator[Told]:
    """Read server-sent events as the standard says."""
    name, data, ident = "message", list[str](), None
    async for raw in content:
        line = raw.decode().removesuffix("\n").removesuffix("\r")
        if not line:
            if data:
                yield Told(name, ident, json.loads("\n".join(data)))
            name, data, ident = "message", [], None
        elif line.startswith(":"):
            yield Told(None, None, line)
        else:
            field_name, _, value = line.partition(":")
            value = value.removeprefix(" ")
            match field_name:
                case "event":
                    name = value
                case "data":
                    data.append(value)
                case "id":
                    ident = value


async def until_ready(session: aiohttp.ClientSession, url: str) -> None:
    """Wait until the service has read its topic, as a client does that is told when to come again."""
    async with asyncio.timeout(WAIT_SECONDS):
        while True:
            async with session.head(url) as response:
                if response.status != 503:
                    return
            await asyncio.sleep(0.05)


@asynccontextmanager
async def following(
    session: aiohttp.ClientSession, url: str, follower: Follower | None = None, **headers: str
) -> AsyncIterator[Follower]:
    """Follow /data/stream during the block; the same follower may come again."""
    follower = follower or Follower()
    follower.over = False
    timeout = aiohttp.ClientTimeout(total=None, sock_connect=10)
    await until_ready(session, url)
    async with session.get(url, headers=headers, timeout=timeout) as response:
        assert response.status == 200, await response.text()
        assert response.headers["Content-Type"] == "text/event-stream"

        async def hear() -> None:
            try:
                async for told in events_of(response.content):
                    follower.hear(told)
            except aiohttp.ClientError:
                pass
            follower.over = True

        hearing = asyncio.create_task(hear())
        try:
            await follower.until(lambda one: bool(one.named("hello")))
            yield follower
            if hearing.done():
                hearing.result()
        finally:
            hearing.cancel()
            await asyncio.gather(hearing, return_exceptions=True)


def resumed(follower: Follower) -> Mapping[str, str]:
    """Return the header with which a browser comes again."""
    assert follower.last_id is not None
    return {"Last-Event-ID": follower.last_id}
