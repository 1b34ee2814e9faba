"""What one admitted request is on the wire: one request, with nothing in it that we did not put there."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from datetime import UTC, datetime

from libs.producing.provider import Provider, open_session
from tests.integration.producing.bench import MovedClock

ANSWER = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\n[]"
NEVER = datetime(9999, 1, 1, tzinfo=UTC)


@dataclass
class CountedPermit:
    """Leave for everything, and how often it was asked for."""

    admitted: int = 0
    deadline: datetime = NEVER

    async def admit(self) -> None:
        self.admitted += 1

    async def hold_until(self, time: datetime) -> None:
        raise AssertionError(time)


@asynccontextmanager
async def raw_server(on_request: "OnRequest") -> AsyncIterator[str]:
    """A server below HTTP: `on_request` gets each request's head and the connection."""

    async def connected(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            while not writer.is_closing():
                on_request(await reader.readuntil(b"\r\n\r\n"), writer)
        except (asyncio.IncompleteReadError, ConnectionError):
            pass
        finally:
            writer.close()

    server = await asyncio.start_server(connected, "127.0.0.1", 0)
    async with server:
        yield f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}"


class OnRequest:
    """Keeps the heads of the requests; hangs up on the second of a connection, as a server that has just timed it out."""

    def __init__(self) -> None:
        self.heads: list[bytes] = []
        self.answered: set[asyncio.StreamWriter] = set()

    def __call__(self, head: bytes, writer: asyncio.StreamWriter) -> None:
        self.heads.append(head)
        if writer in self.answered:
            writer.transport.abort()
        else:
            self.answered.add(writer)
            writer.write(ANSWER)


async def test_a_request_is_not_sent_again_unless_it_is_admitted_again() -> None:
    """An HTTP client may send a GET again by itself when a kept connection turns out to be closed; the quota would not know."""
    asked, permit = OnRequest(), CountedPermit()
    async with raw_server(asked) as base_url, open_session(base_url) as session:
        provider = Provider("Test", base_url, "TEST_BASE_URL", "TEST_KEY", session, MovedClock())
        for _ in range(2):
            assert await provider.get("/", {}, permit, bytes) == b"[]"
    assert len(asked.heads) == permit.admitted == 3
