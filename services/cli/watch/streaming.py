"""GET /data/stream as updates: one connection, from where the last one ended."""

import asyncio
from collections.abc import AsyncGenerator, Iterator
from http import HTTPStatus
from typing import Final

import aiohttp
import msgspec

from libs.eventsource.parsing import EventParser, EventTooLargeError, ServerSentEvent
from services.cli.http_api import CONNECT_SECONDS, Api, ApiProblem
from services.cli.watch.assets import WatchedAsset, Wish
from services.cli.watch.updates import AssetChanged, AssetRemoved, Conflated, Link, LinkChanged, Reset, Update

HELLO_SECONDS: Final = 5.0
"""The stream begins with an event; where a proxy holds it back until there is more, it is of no use."""
SILENT_SECONDS: Final = 45.0
"""Three heartbeats: whoever has been silent for so long is gone."""
EVENT_STREAM: Final = "text/event-stream"
BROKEN: Final = (aiohttp.ClientError, OSError, TimeoutError, EventTooLargeError, msgspec.DecodeError)
"""How a connection ends but by its end."""


class StreamRefusedError(Exception):
    """The API answers and does not stream: it is an older one, has too many readers, or does not know the position."""

    def __init__(self, status: int, words: str, retry_seconds: float | None) -> None:
        super().__init__(words)
        self.status = status
        self.retry_seconds = retry_seconds


class _Hello(msgspec.Struct, frozen=True):
    sandbox: bool


class _Removed(msgspec.Struct, frozen=True):
    asset_uid: str


class _Conflated(msgspec.Struct, frozen=True):
    skipped: int


class _Reset(msgspec.Struct, frozen=True):
    reason: str


class Stream:
    """Reads the stream; `position` is where the next connection goes on, empty for the present state first."""

    def __init__(self, api: Api, wish: Wish) -> None:
        self._api, self._wish = api, wish
        self.position = ""
        self.retry_seconds: float | None = None
        """How long the API wants to be left alone after a connection has ended."""

    async def updates(self) -> AsyncGenerator[Update, None]:
        """Yield what one connection brings until it ends. Raises StreamRefusedError, or one of BROKEN."""
        headers = {"Accept": EVENT_STREAM, "Accept-Encoding": "identity", "Cache-Control": "no-store"}
        if self.position:
            headers["Last-Event-ID"] = self.position
        url = self._api.url("/data/stream", self._parameters())
        timeout = aiohttp.ClientTimeout(total=None, sock_connect=CONNECT_SECONDS, sock_read=SILENT_SECONDS)
        async with self._api.session.get(url, headers=headers, timeout=timeout) as answer:
            self._api.hear_time(answer)
            if answer.status != HTTPStatus.OK or answer.content_type != EVENT_STREAM:
                raise await _refusal(answer)
            parser = EventParser(self.position)
            piece = await asyncio.wait_for(answer.content.readany(), HELLO_SECONDS)
            while piece:
                for event in parser.feed(piece):
                    for update in _updates_of(event):
                        yield update
                    self.position = event.position
                if parser.retry_ms is not None:
                    self.retry_seconds = parser.retry_ms / 1_000
                piece = await answer.content.readany()

    def _parameters(self) -> list[tuple[str, str]]:
        wanted = [("uid", uid) for uid in self._wish.uids]
        if self._wish.source is not None:
            wanted.append(("source", self._wish.source))
        elif not wanted:
            wanted.append(("top", str(self._wish.top)))
        return [*wanted, ("snapshot", "false" if self.position else "true")]


def _updates_of(event: ServerSentEvent) -> Iterator[Update]:
    """What a later API adds is passed over."""
    position = event.position or None
    match event.name:
        case "hello":
            yield LinkChanged(Link.LIVE, "live", sandbox=msgspec.json.decode(event.text, type=_Hello).sandbox)
        case "asset":
            yield AssetChanged(msgspec.json.decode(event.text, type=WatchedAsset), event.text.encode(), position)
        case "removed":
            yield AssetRemoved(msgspec.json.decode(event.text, type=_Removed).asset_uid, position)
        case "conflated":
            yield Conflated(msgspec.json.decode(event.text, type=_Conflated).skipped, position)
        case "reset":
            yield Reset(msgspec.json.decode(event.text, type=_Reset).reason, position)


async def _refusal(answer: aiohttp.ClientResponse) -> StreamRefusedError:
    try:
        words = msgspec.json.decode(await answer.read(), type=ApiProblem).words
    except msgspec.DecodeError:
        words = f"{answer.status} {answer.reason or answer.content_type}"
    wait = answer.headers.get("Retry-After", "")
    return StreamRefusedError(answer.status, words, float(wait) if wait.isdecimal() else None)
