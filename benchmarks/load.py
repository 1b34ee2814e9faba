"""Clients of an API: so many connections that ask as fast as they are answered, or one that reads page after page."""

import asyncio
import time
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager
from itertools import cycle
from typing import Any, NamedTuple

import msgspec


class Answered(NamedTuple):
    """What came back in the time: requests a second, and milliseconds."""

    per_second: float
    p50_ms: float
    p99_ms: float


async def ask(port: int, paths: Sequence[str], *, connections: int, seconds: float) -> Answered:
    """Ask for the paths in turn. Anything but 200 raises: a fast error is no answer."""
    requests = cycle(f"GET {path} HTTP/1.1\r\nHost: 127.0.0.1:{port}\r\nAccept: */*\r\n\r\n".encode() for path in paths)
    took: list[float] = []
    began = time.perf_counter()
    until = began + seconds

    async def one() -> None:
        reader, writer = await asyncio.open_connection("127.0.0.1", port)
        while (asked := time.perf_counter()) < until:
            writer.write(next(requests))
            await read_answer(reader)
            took.append(time.perf_counter() - asked)
        writer.close()

    async with asyncio.TaskGroup() as clients:
        for _ in range(connections):
            clients.create_task(one())
    elapsed = time.perf_counter() - began
    took.sort()
    return Answered(len(took) / elapsed, 1_000 * took[len(took) // 2], 1_000 * took[len(took) * 99 // 100])


async def read_answer(reader: asyncio.StreamReader) -> bytes:
    """Return the body of the answer that comes next. Raises RuntimeError when it is not 200."""
    head = await reader.readuntil(b"\r\n\r\n")
    status, _, rest = head.partition(b"\r\n")
    if b" 200 " not in status:
        raise RuntimeError(f"answered {status.decode()}")
    length = rest.lower().partition(b"content-length:")[2].partition(b"\r\n")[0]
    if not length.strip():
        raise RuntimeError("an answer without its length")
    return await reader.readexactly(int(length))


class Client(NamedTuple):
    """One connection, kept open."""

    reader: asyncio.StreamReader
    writer: asyncio.StreamWriter

    async def page(self, path: str) -> tuple[float, Mapping[str, Any]]:
        """Return the milliseconds until the page was there, and the page."""
        asked = time.perf_counter()
        self.writer.write(f"GET {path} HTTP/1.1\r\nHost: 127.0.0.1\r\nAccept: */*\r\n\r\n".encode())
        body = await read_answer(self.reader)
        return 1_000 * (time.perf_counter() - asked), msgspec.json.decode(body)


@asynccontextmanager
async def open_client(port: int) -> AsyncIterator[Client]:
    """Connect to who listens on a port."""
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    try:
        yield Client(reader, writer)
    finally:
        writer.close()
