"""GET /data/ws: the same events through a WebSocket, whose client may change what it wants."""

import asyncio
from collections.abc import Mapping
from typing import Annotated, Final

import structlog
from aiohttp import WSCloseCode, WSMsgType, web
from aiohttp.abc import AbstractStreamWriter
from pydantic import BaseModel, ConfigDict, Field, ValidationError

from services.query.connections import hold_as_stream
from services.query.handlers.stream import (
    RESET,
    StreamAsked,
    cut_off,
    headers_of_a_stream,
    hello_data,
    position_asked,
)
from services.query.keys import MEASURES, SERVING, STREAM
from services.query.live.positions import decode_position
from services.query.live.seats import WEBSOCKET, Seat
from services.query.live.wanted import Wanted
from services.query.parameters import MOST_UIDS, EventId, SourceFilter, Symbol
from services.query.problems import QueryError, UpgradeRequiredError
from services.query.rendering import encoded

log = structlog.get_logger(__name__)

LARGEST_MESSAGE: Final = 64 * 1024
"""Bytes of what a client sends: a subscription to MOST_UIDS symbols of the greatest length fits."""
CLOSING_SECONDS: Final = 1.0
BETWEEN_MESSAGES_SECONDS: Final = 0.1
"""Between two messages of a client; what it sends faster waits in its socket."""


class Subscription(BaseModel):
    """What a client wants from now on, in place of what it wanted before."""

    model_config = ConfigDict(frozen=True, extra="forbid", strict=True)

    uid: Annotated[list[Symbol], Field(min_length=1, max_length=MOST_UIDS)] | None = None
    source: SourceFilter | None = None
    top: Annotated[int, Field(ge=1, le=10_000)] | None = None
    snapshot: bool = False
    last_event_id: EventId | None = None

    @property
    def wanted(self) -> Wanted:
        """What it asks for."""
        return Wanted(None if self.uid is None else frozenset(self.uid), self.source, self.top)


class Message(BaseModel):
    """What a client may say."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    subscribe: Subscription


async def follow_assets(request: web.Request, asked: StreamAsked) -> web.StreamResponse:
    """Tell until the client leaves or the service stops. Any page may connect: reading is for everybody."""
    socket = web.WebSocketResponse(compress=False, max_msg_size=LARGEST_MESSAGE, timeout=CLOSING_SECONDS)
    if not socket.can_prepare(request):
        raise UpgradeRequiredError(
            "this path speaks WebSocket; /data/stream says the same over HTTP", headers={"Upgrade": WEBSOCKET}
        )
    stream = request.app[STREAM]
    stream.require_room()
    reader, reset = await stream.reader(asked.wanted, position_asked(request, asked), whole=asked.snapshot)
    socket.headers.update(headers_of_a_stream())
    try:
        async with asyncio.timeout(None) as life:
            with stream.seated(WEBSOCKET, reader, life) as seat, hold_as_stream(request):
                seat.reset = reset
                await _talk(request, socket, seat)
    except (TimeoutError, ConnectionError):
        cut_off(request)
    except Exception:
        if not socket.prepared:
            raise
        log.exception("stream_failed")
        cut_off(request)
    return socket


async def _talk(request: web.Request, socket: web.WebSocketResponse, seat: Seat) -> None:
    writer = await socket.prepare(request)
    try:
        await _greet(request, socket, seat)
        async with asyncio.TaskGroup() as tasks:
            telling = tasks.create_task(_tell(request, socket, writer, seat))
            listening = tasks.create_task(_listen(request, socket, seat))
            telling.add_done_callback(lambda _: listening.cancel())
            listening.add_done_callback(lambda _: telling.cancel())
    except* ConnectionError:
        cut_off(request)
    finally:
        log.info("stream_ended", transport=WEBSOCKET, events=seat.sent, skipped=seat.skipped)


async def _tell(request: web.Request, socket: web.WebSocketResponse, writer: AbstractStreamWriter, seat: Seat) -> None:
    stream, measures = request.app[STREAM], request.app[MEASURES]
    while (batch := await stream.next_for(seat)) is not None:
        if seat.reset:
            seat.reset = False
            await _send(socket, "reset", RESET, seat.reader.log.beginning)
        if not batch and seat.asked.empty():
            await socket.ping()
        for text in batch.as_texts:
            await socket.send_frame(text, WSMsgType.TEXT)
        measures.streamed(WEBSOCKET, len(batch.told), batch.skipped, sum(map(len, batch.as_texts)))
        await writer.drain()
        if not seat.asked.empty():  # behind its hello nothing comes that the client had wanted before
            seat.reader, seat.reset = seat.asked.get_nowait()
            await _greet(request, socket, seat)
    await socket.close(code=WSCloseCode.GOING_AWAY, message=b"the service stops; come again")


async def _listen(request: web.Request, socket: web.WebSocketResponse, seat: Seat) -> None:
    """Take what the client says, until it closes. What is wrong with it is told to it, and changes nothing.

    What has come already is read without giving way, and a place in the log is looked for through all of it: a client that asks
    and asks would keep everybody waiting.
    """
    async for message in socket:
        if message.type is WSMsgType.TEXT:
            await _heed(request, socket, seat, message.data)
        elif message.type is WSMsgType.BINARY:
            await _send_error(socket, "message", "must be text")
        await asyncio.sleep(BETWEEN_MESSAGES_SECONDS)


async def _heed(request: web.Request, socket: web.WebSocketResponse, seat: Seat, said: str) -> None:
    try:
        asked = Message.model_validate_json(said).subscribe
        since = None if asked.last_event_id is None else decode_position(asked.last_event_id)
        reader, reset = await request.app[STREAM].reader(asked.wanted, since, whole=asked.snapshot)
    except ValidationError as error:
        first = error.errors(include_url=False, include_input=False, include_context=False)[0]
        where = ".".join(map(str, first["loc"])) or "message"
        await _send_error(socket, where, first["msg"].removeprefix("Value error, "))
    except QueryError as error:
        await _send_error(socket, "subscribe", error.detail)
    else:
        await seat.asked.put((reader, reset))
        seat.news.set()


async def _greet(request: web.Request, socket: web.WebSocketResponse, seat: Seat) -> None:
    position = seat.reader.position
    await _send(socket, "hello", hello_data(position, sandbox=request.app[SERVING].sandbox), position)


async def _send(socket: web.WebSocketResponse, event: str, data: Mapping[str, object], position: bytes | None = None) -> None:
    shown = None if position is None else position.decode()
    await socket.send_frame(encoded({"event": event, "id": shown, "data": data}), WSMsgType.TEXT)


async def _send_error(socket: web.WebSocketResponse, parameter: str, detail: str) -> None:
    await _send(socket, "error", {"parameter": parameter, "detail": f"{parameter}: {detail}"})
