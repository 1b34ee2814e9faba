"""The way to a server, which a test can cut and mend again."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass, field

Pass = Callable[[bytes], Awaitable[None]]


@dataclass
class Line:
    """Passes bytes on between a port of its own and a server, until it is cut."""

    port_of_server: int
    port: int = 0
    held: bytes | None = None
    """A request with these bytes in it gets no answer: what some proxies do to a stream."""
    _server: asyncio.Server | None = None
    _open: set[asyncio.StreamWriter] = field(default_factory=set)
    _passing: set[asyncio.Task[None]] = field(default_factory=set)

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    async def mend(self) -> None:
        """Listen, on the same port as before."""
        self._server = await asyncio.start_server(self._connected, "127.0.0.1", self.port)
        self.port = self._server.sockets[0].getsockname()[1]

    async def cut(self) -> None:
        """Drop what is connected, and listen no more."""
        assert self._server
        self._server.close()
        for writer in self._open:
            writer.transport.abort()
        for task in self._passing:
            task.cancel()
        await asyncio.gather(*self._passing, return_exceptions=True)

    async def _connected(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        server_reader, server_writer = await asyncio.open_connection("127.0.0.1", self.port_of_server)
        self._open |= {writer, server_writer}
        let_through = asyncio.Event()
        let_through.set()

        async def look(piece: bytes) -> None:
            if self.held and self.held in piece:
                let_through.clear()

        async def wait(_piece: bytes) -> None:
            await let_through.wait()

        for passing in (self._pass_on(reader, server_writer, look), self._pass_on(server_reader, writer, wait)):
            task = asyncio.create_task(passing)
            self._passing.add(task)
            task.add_done_callback(self._passing.discard)

    async def _pass_on(self, source: asyncio.StreamReader, sink: asyncio.StreamWriter, before: Pass) -> None:
        try:
            with suppress(ConnectionError):
                while piece := await source.read(65_536):
                    await before(piece)
                    sink.write(piece)
                    await sink.drain()
        finally:
            sink.close()
            self._open.discard(sink)


@asynccontextmanager
async def line_to(port: int) -> AsyncIterator[Line]:
    """Return a line that is whole; cut at the end."""
    line = Line(port)
    await line.mend()
    try:
        yield line
    finally:
        await line.cut()
