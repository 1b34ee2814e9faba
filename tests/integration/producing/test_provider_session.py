"""What one admitted request is on the wire: one request, with nothing in it that we did not put there."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, nullcontext
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

import pytest
from pydantic import SecretStr

from libs.producing.fetching import FetchFailedError
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


async def test_nothing_from_netrc_goes_to_a_provider(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A `default` entry is for any host; and beside our own Authorization header it is an error of the HTTP client."""
    netrc = tmp_path / "netrc"
    netrc.write_text("default login someone password secret\n")
    netrc.chmod(0o600)
    monkeypatch.setenv("NETRC", str(netrc))
    asked, key = OnRequest(), {"Authorization": SecretStr("our-key")}
    async with raw_server(asked) as server:
        monkeypatch.setenv("http_proxy", server)
        base_url = "http://provider.invalid/v1"
        async with open_session(base_url) as session:
            for headers in ({}, key):
                provider = Provider("Test", base_url, "TEST_BASE_URL", "TEST_KEY", session, MovedClock(), headers)
                assert await provider.get("/", {}, CountedPermit(), bytes) == b"[]"
    first, *_, last = asked.heads
    assert b"uthorization" not in first
    assert last.count(b"uthorization") == last.count(b"Authorization: our-key") == 1


@pytest.mark.parametrize(
    ("base_url", "no_proxy", "used"),
    [
        ("http://provider.invalid/v1", "", True),
        ("http://provider.invalid/v1", "elsewhere,.invalid", False),
        ("http://localhost:1/v1", "", False),
        ("http://127.0.0.1:1/v1", "", False),
    ],
)
async def test_the_machines_proxy_is_used_except_where_it_must_not(
    base_url: str, no_proxy: str, *, used: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked = OnRequest()
    async with raw_server(asked) as proxy:
        monkeypatch.setenv("http_proxy", proxy.replace("//", "//user:word@"))
        monkeypatch.setenv("no_proxy", no_proxy)
        async with open_session(base_url) as session:
            provider = Provider("Test", base_url, "TEST_BASE_URL", "TEST_KEY", session, MovedClock())
            with nullcontext() if used else pytest.raises(FetchFailedError, match="could not be reached"):
                await provider.get("/", {}, CountedPermit(), bytes)
    assert [b"Proxy-Authorization: Basic dXNlcjp3b3Jk" in head for head in asked.heads] == [True] * used
