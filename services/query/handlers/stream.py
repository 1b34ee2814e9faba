"""GET /data/stream: changes of assets as server-sent events."""

import asyncio
import random
from collections.abc import Mapping
from typing import ClassVar, Final

import structlog
from aiohttp import web
from aiohttp.abc import AbstractStreamWriter
from pydantic import Field
from structlog.contextvars import get_contextvars

from services.query.connections import hold_as_stream
from services.query.endpoints import Parameters
from services.query.keys import MEASURES, SERVING, STREAM
from services.query.live.positions import Position, decode_position
from services.query.live.seats import SSE, Seat
from services.query.live.wanted import Wanted
from services.query.parameters import EventId, Flag, SourceFilter, Symbols, Top
from services.query.problems import InvalidParameterError
from services.query.rendering import ATTRIBUTION_HEADERS, encoded
from services.query.requests import SAFE_HEADERS

log = structlog.get_logger(__name__)

HEARTBEAT: Final = b": heartbeat\n\n"
RECONNECT_MS: Final = (1_000, 4_000)
"""Between these a browser waits before it comes again, each another time: they all lose a service that stops at once."""
RESET: Final = {"reason": "what you hold may not be what there is; forget it, all there is follows"}
"""The position is too old, or of another topic; or the topic has just been read anew. Its id is the beginning: whoever breaks off
behind it has nothing."""


class StreamAsked(Parameters):
    """What a client wants to follow, and from where."""

    repeatable: ClassVar = frozenset({"uid"})

    uid: Symbols | None = None
    source: SourceFilter | None = Field(None, description="Only assets whose values come from a listing of this source")
    top: Top | None = None
    snapshot: Flag = Field(False, description="Begin with all assets that fit as they are now; else with the next change")
    last_event_id: EventId | None = None

    @property
    def wanted(self) -> Wanted:
        """What it asks for."""
        return Wanted(None if self.uid is None else frozenset(self.uid), self.source, self.top)


async def stream_assets(request: web.Request, asked: StreamAsked) -> web.StreamResponse:
    """Stream until the client leaves or the service stops."""
    stream = request.app[STREAM]
    stream.require_room()
    reader, reset = await stream.reader(asked.wanted, position_asked(request, asked), whole=asked.snapshot)
    response = web.StreamResponse(headers=headers_of_a_stream() | {"Content-Type": "text/event-stream"})
    response.force_close()
    if request.method == "HEAD":
        return response
    try:
        async with asyncio.timeout(None) as life:
            with stream.seated(SSE, reader, life) as seat, hold_as_stream(request):
                seat.reset = reset
                await _tell(request, response, seat)
    except (TimeoutError, ConnectionError):  # the service stops, and the client does not take its end; or it is gone
        cut_off(request)
    except Exception:
        if not response.prepared:
            raise
        log.exception("stream_failed")
        cut_off(request)
    return response


async def _tell(request: web.Request, response: web.StreamResponse, seat: Seat) -> None:
    writer = await response.prepare(request)
    if writer is None:
        return
    stream, measures = request.app[STREAM], request.app[MEASURES]
    try:
        await _write(response, writer, _hello(seat.reader.position, sandbox=request.app[SERVING].sandbox))
        while (batch := await stream.next_for(seat)) is not None:
            told = batch.as_sse or HEARTBEAT
            if seat.reset:
                seat.reset = False
                told = _event("reset", RESET, seat.reader.log.beginning) + told
            measures.streamed(SSE, len(batch.told), batch.skipped, len(told))
            await _write(response, writer, told)
    finally:
        log.info("stream_ended", transport=SSE, events=seat.sent, skipped=seat.skipped)


async def _write(response: web.StreamResponse, writer: AbstractStreamWriter, told: bytes) -> None:
    """Return once the client's socket has taken all of it: what it does not take is all that we hold for it."""
    await response.write(told)
    await writer.drain()


def position_asked(request: web.Request, asked: StreamAsked) -> Position | None:
    """Return where to go on. The header wins: a browser that comes again sends it, with the address that it began with."""
    header = request.headers.get("Last-Event-ID", "")
    if not header:
        return None if asked.last_event_id is None else decode_position(asked.last_event_id)
    try:
        return decode_position(header)
    except ValueError as error:
        raise InvalidParameterError(f"Last-Event-ID: {error}", parameter="Last-Event-ID") from None


def headers_of_a_stream() -> dict[str, str]:
    """Return what every stream's answer says; the request's middleware comes too late, they are sent by then."""
    passed_on = {"Cache-Control": "no-store", "X-Accel-Buffering": "no"}
    return {**SAFE_HEADERS, **ATTRIBUTION_HEADERS, **passed_on, "X-Request-Id": str(get_contextvars().get("request_id", ""))}


def cut_off(request: web.Request) -> None:
    """Close the connection at once; what the client has not taken is dropped."""
    if request.transport is not None:
        request.transport.abort()


def hello_data(position: bytes, *, sandbox: bool) -> Mapping[str, object]:
    """Return what a client is told first."""
    return {"position": position.decode(), "sandbox": sandbox}


def _hello(position: bytes, *, sandbox: bool) -> bytes:
    retry_ms = random.randint(*RECONNECT_MS)  # noqa: S311 spreading, not cryptography
    return b"retry: %d\n%b" % (retry_ms, _event("hello", hello_data(position, sandbox=sandbox), position))


def _event(name: str, data: Mapping[str, object], position: bytes) -> bytes:
    return b"id: %b\nevent: %b\ndata: %b\n\n" % (position, name.encode(), encoded(data))
