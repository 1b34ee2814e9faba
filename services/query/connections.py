"""The connections that clients hold: how many, for how long, and how much of our memory each may take.

A client that follows the stream holds its connection for as long as it likes, so it takes no place here: STREAM_CLIENTS counts
those. In everything else it is a client like any other, and is cut off when it does not take what it is sent.

Whoever sends a request takes its answer in a moment. A client that sends a byte a second, or does not read, costs a place; so
there are as many places as a setting says, and the next client gets that of the one that has been waiting longest for nothing.
aiohttp closes a connection without a whole request after its keepalive time, and has no limit for the rest.
"""

import asyncio
import socket
from collections.abc import Awaitable, Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from http import HTTPStatus
from typing import Any

import structlog
from aiohttp import web
from aiohttp.http_exceptions import LineTooLong
from aiohttp.streams import EMPTY_PAYLOAD
from aiohttp.web_protocol import _ErrInfo

from libs.process.clock import Clock
from services.query.malformed import LARGEST_HEAD, LONGEST_LINE, answer_to

log = structlog.get_logger(__name__)

KEEPALIVE_SECONDS = 30.0
"""Also what a client has to send a whole request."""
ANSWER_SECONDS = 60.0
"""What a client has to take an answer."""
SHUTDOWN_SECONDS = 5.0
LINGERING_SECONDS = 2.0
LARGEST_UNREAD = 64 * 1024 * 1024
"""Bytes of answers that clients have not taken yet, of all of them together; beyond, the slowest loses its answer."""
MOST_HEADERS = 64
LOG_SECONDS = 10.0
STREAM_OPTIONS = {
    getattr(socket, name): value
    for name, value in {"TCP_NOTSENT_LOWAT": 65_536, "TCP_USER_TIMEOUT": 60_000}.items()
    if hasattr(socket, name)
}
"""Of a stream's socket, where the system has them: what the kernel holds unsent would be old when it arrives, so it is to hold
little; and a client that is gone without a word is gone once it has acknowledged nothing for a minute."""

Serve = Callable[[web.BaseRequest], Awaitable[web.StreamResponse]]


@dataclass(slots=True)
class Connections:
    """Every open connection by what it does. Dicts keep the order: whoever has waited longest is the first."""

    most: int
    clock: Clock
    largest_unread: int = LARGEST_UNREAD
    answer_seconds: float = ANSWER_SECONDS
    open: set["Connection"] = field(default_factory=set)
    idle: dict["Connection", None] = field(default_factory=dict)
    unread: dict["Connection", None] = field(default_factory=dict)
    _cut: int = 0
    _told_at: float = float("-inf")

    def opened(self, connection: "Connection") -> None:
        """Take one more; when there are too many, the one goes that has been idle longest, or else this one."""
        self.open.add(connection)
        self.idle[connection] = None
        if len(self.open) > self.most:
            self._cut_off(next(iter(self.idle)), "too many connections; HTTP_CONNECTIONS says how many there may be")

    def busy(self, connection: "Connection") -> None:
        """Note that it waits for us now."""
        self.idle.pop(connection, None)

    def waited_for(self, connection: "Connection") -> None:
        """Note that we wait for it again."""
        if connection in self.open:
            self.idle[connection] = None

    def follows_the_stream(self, connection: "Connection") -> None:
        """Note that it is counted elsewhere now."""
        self.open.discard(connection)
        self.idle.pop(connection, None)

    def reads_slowly(self, connection: "Connection") -> None:
        """Note that it has not taken its whole answer."""
        self.unread[connection] = None
        while self.unread and sum(one.unread_bytes() for one in self.unread) > self.largest_unread:
            self._cut_off(next(iter(self.unread)), "clients read their answers too slowly")

    def closed(self, connection: "Connection") -> None:
        """Forget it."""
        self.open.discard(connection)
        self.idle.pop(connection, None)
        self.unread.pop(connection, None)

    def _cut_off(self, connection: "Connection", reason: str) -> None:
        self.closed(connection)
        connection.abort()
        self._cut += 1
        if self.clock.monotonic() - self._told_at >= LOG_SECONDS:
            log.warning("connections_cut_off", reason=reason, connections=self._cut, open=len(self.open))
            self._cut, self._told_at = 0, self.clock.monotonic()


class Connection(web.RequestHandler):
    """One client."""

    def __init__(self, server: web.Server, connections: Connections, **options: Any) -> None:
        super().__init__(server, **options)
        self._all = connections
        self._wire: asyncio.Transport | None = None
        self._too_slow: asyncio.TimerHandle | None = None
        self._head_bytes = 0
        self._has_asked = False

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Begin. Whatever the kernel does not take at once counts as unread."""
        super().connection_made(transport)
        self._wire = self.transport
        if self._wire is not None:
            self._wire.set_write_buffer_limits(high=0)
        self._all.opened(self)

    def connection_lost(self, exc: BaseException | None) -> None:
        """End."""
        self._all.closed(self)
        self._stop_waiting()
        self._wire = None
        super().connection_lost(exc)

    def data_received(self, data: bytes) -> None:
        """Collect a request, but no endless one: the parser has a limit for each header and none for all of them."""
        if self._head_bytes > LARGEST_HEAD:
            return
        requests = self._request_count
        super().data_received(data)
        self._has_asked = self._has_asked or self._request_count > requests
        self._head_bytes = 0 if self._has_asked else self._head_bytes + len(data)
        if self._head_bytes > LARGEST_HEAD:
            self._refuse_head()

    async def serve(self, request: web.BaseRequest, answer: Serve) -> web.StreamResponse:
        """Answer a request; until then we are not waiting for the client."""
        self._all.busy(self)
        try:
            return await answer(request)
        except web.HTTPExpectationFailed as error:  # raised before any middleware
            return answer_to(error, error.status)
        finally:
            self._has_asked = False
            self._all.waited_for(self)

    def hold(self) -> None:
        """Note that what is served now ends when the client likes."""
        self._all.follows_the_stream(self)

    def pause_writing(self) -> None:
        """Give the client some time to take the rest."""
        super().pause_writing()
        self._too_slow = self._loop.call_later(self._all.answer_seconds, self.abort)
        self._all.reads_slowly(self)

    def resume_writing(self) -> None:
        """It has all of it."""
        super().resume_writing()
        self._stop_waiting()
        self._all.unread.pop(self, None)

    def unread_bytes(self) -> int:
        """Return how much of its answer we hold."""
        return self._wire.get_write_buffer_size() if self._wire is not None else 0

    def abort(self) -> None:
        """Close at once: in order, what it does not read would be kept for ever."""
        if self._wire is not None:
            self._wire.abort()

    def handle_error(
        self, request: web.BaseRequest, status: int = 500, exc: BaseException | None = None, message: str | None = None
    ) -> web.StreamResponse:
        """Answer what is no request, and close the connection."""
        if request.writer.output_size > 0:
            return super().handle_error(request, status, exc, message)
        return answer_to(exc, status)

    def _refuse_head(self) -> None:
        """As the parser refuses a long header."""
        self._messages.append((_ErrInfo(HTTPStatus.BAD_REQUEST, LineTooLong(b"", LARGEST_HEAD), ""), EMPTY_PAYLOAD))
        if self._waiter is not None and not self._waiter.done():
            self._waiter.set_result(None)

    def _stop_waiting(self) -> None:
        if self._too_slow is not None:
            self._too_slow.cancel()
            self._too_slow = None


@contextmanager
def hold_as_stream(request: web.Request) -> Iterator[None]:
    """Let a request take as long as its client likes, and hold little of what is written to it; its connection ends with it."""
    if isinstance(request.protocol, Connection):
        request.protocol.hold()
    if request.transport is not None:
        request.transport.set_write_buffer_limits(high=0)  # so that `drain` waits until the kernel has all of it
        wire = request.transport.get_extra_info("socket")
        for option, value in STREAM_OPTIONS.items():
            with suppress(OSError):
                wire.setsockopt(socket.IPPROTO_TCP, option, value)
    yield


class _Server(web.Server):
    """Every connection, made as ours."""

    def __init__(self, made: Any, connections: Connections) -> None:
        self._held = connections
        super().__init__(
            _through_its_connection(made.request_handler),
            request_factory=made.request_factory,
            handler_cancellation=made.handler_cancellation,
            **made._kwargs,  # noqa: SLF001 how its connections are made has no public name
        )

    def __call__(self) -> web.RequestHandler:
        return Connection(self, self._held, loop=self._loop, **self._kwargs)


def _through_its_connection(answer: Serve) -> Serve:
    def serve(request: web.BaseRequest) -> Awaitable[web.StreamResponse]:
        connection: Any = request.protocol
        response: Awaitable[web.StreamResponse] = connection.serve(request, answer)
        return response

    return serve


class Runner(web.AppRunner):
    """aiohttp's, with these connections."""

    def __init__(self, app: web.Application, connections: Connections) -> None:
        self._connections = connections
        super().__init__(
            app,
            access_log=None,
            handle_signals=False,
            handler_cancellation=True,  # nobody waits for a run, or keeps a query busy, whose caller has gone
            keepalive_timeout=KEEPALIVE_SECONDS,
            lingering_time=LINGERING_SECONDS,
            shutdown_timeout=SHUTDOWN_SECONDS,
            max_line_size=LONGEST_LINE,
            max_field_size=LONGEST_LINE,
            max_headers=MOST_HEADERS,
            auto_decompress=False,  # no body is read, so none need be inflated
        )

    async def _make_server(self) -> web.Server:
        return _Server(await super()._make_server(), self._connections)
