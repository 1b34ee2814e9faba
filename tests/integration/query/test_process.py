"""The service as a process: settings, signals, a port that is taken."""

import asyncio
import json
import os
import signal
import socket
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import aiohttp

from tests.integration.query.answers import until
from tests.integration.query.conftest import NO_DATABASE, NOBODY_LISTENS

ROOT = Path(__file__).parents[3]


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


@asynccontextmanager
async def process(tmp_path: Path, **environment: str) -> AsyncIterator[asyncio.subprocess.Process]:
    """Run it in an empty folder, so that no .env file speaks."""
    reached = {"KAFKA_BOOTSTRAP_SERVERS": NOBODY_LISTENS, "DATABASE_URL": NO_DATABASE, "LOG_FORMAT": "json"}
    child = await asyncio.create_subprocess_exec(
        sys.executable,
        "-m",
        "services.query",
        cwd=tmp_path,
        env={"PATH": os.environ["PATH"], "PYTHONPATH": str(ROOT), **reached, **environment},
        stderr=asyncio.subprocess.PIPE,
    )
    try:
        yield child
    finally:
        if child.returncode is None:
            child.kill()
        await child.communicate()


async def health(session: aiohttp.ClientSession, port: int) -> dict[str, Any] | None:
    try:
        async with session.get(f"http://127.0.0.1:{port}/health") as response:
            body: dict[str, Any] = await response.json()
            return body
    except aiohttp.ClientConnectionError:
        return None


async def send_bytes(port: int, sent: bytes) -> bytes:
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    writer.write(sent)
    answered = await asyncio.wait_for(reader.read(), 10)
    writer.close()
    return answered


async def test_it_serves_while_everything_is_away_and_stops_on_sigterm(tmp_path: Path) -> None:
    port = free_port()
    async with process(tmp_path, PORT=str(port), KASPARRO_SANDBOX_DATA="true") as child, aiohttp.ClientSession() as session:

        async def serves() -> bool:
            return await health(session, port) is not None

        await until(serves)
        body = await health(session, port)
        assert body is not None
        assert (body["status"], body["sandbox"]) == ("degraded", True)
        assert b" 400 " in await send_bytes(port, b"GET /data HTTP/1.1\r\n\r\n")
        child.send_signal(signal.SIGTERM)
        _, stderr = await asyncio.wait_for(child.communicate(), 10)
    assert child.returncode == 0
    events = [json.loads(line)["event"] for line in stderr.decode().splitlines()]
    assert events.count("query_started") == 1
    assert "malformed_request" in events
    assert events[-1] == "query_stopped"
    assert "Traceback" not in stderr.decode()


SIX_BYTES = b"6\r\ns3cret\r\n0\r\n\r\n"
MALFORMED = [
    (b"GET /data/s3cret\xff HTTP/1.1\r\nHost: x\r\n\r\n", 400),
    (b"GET /data?s3cret=\xc3\xa9 HTTP/1.1\r\nHost: x\r\n\r\n", 400),
    (b"S3CRET /data HTTP/1.1\r\nHost: x\r\n\r\n", 400),
    (b"GET /data HTTP/1.1\r\nHost: x\r\nContent-Length: s3cret\r\n\r\n", 400),
    (b"GET http://[s3cret HTTP/1.1\r\nHost: x\r\n\r\n", 400),
    (b"GET /data HTTP/1.1\r\n\r\n", 400),
    (b"POST /etl/run/csv HTTP/1.1\r\nHost: x\r\nConnection: close\r\nTransfer-Encoding: chunked\r\n\r\ns3cret\r\n", 400),
    (b"GET /data HTTP/1.1\r\nHost: x\r\nExpect: s3cret\r\n\r\n", 417),
    (b"GET /nosuch HTTP/1.1\r\nHost: x\r\nExpect: s3cret\r\n\r\n", 417),
    (b"GET /data HTTP/1.1\r\nHost: x\r\n folded: s3cret\r\n\r\n", 400),
    (b"GET /data HTTP/1.1\r\nHost: x\r\nX: s3cret\x00\r\n\r\n", 400),
    (b"GET /data HTTP/9.9\r\nHost: x\r\nX: s3cret\r\n\r\n", 400),
    (b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03s3cret", 400),
    (
        b"POST /etl/run/csv HTTP/1.1\r\nHost: x\r\nContent-Length: 6\r\nTransfer-Encoding: chunked\r\n\r\n6\r\ns3cret\r\n",
        400,
    ),
    (b"POST /etl/run/csv HTTP/1.1\r\nHost: x\r\nContent-Length: 6\r\nContent-Length: 5\r\n\r\ns3cret", 400),
    (b"POST /etl/run/csv HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\nfffffffffffffffff\r\ns3cret", 400),
    (b"POST /nosuch HTTP/1.1\r\nHost: x\r\nConnection: close\r\nContent-Encoding: gzip\r\nContent-Length: 6\r\n\r\ns3cret", 404),
    (
        b"POST /nosuch HTTP/1.1\r\nHost: x\r\nConnection: close\r\nContent-Encoding: gzip\r\nTransfer-Encoding: chunked\r\n\r\n%b"
        % SIX_BYTES,
        404,
    ),
    (
        b"POST /nosuch HTTP/1.1\r\nHost: x\r\nConnection: close\r\nTransfer-Encoding: chunked\r\n\r\n4001\r\n"
        + b"x" * 0x4001
        + b"\r\ns3cret\r\n",
        400,
    ),
    (b"GET /data HTTP/1.1\r\nHost: x\r\nConnection: close\r\nContent-Length: 16385\r\n\r\ns3cret", 413),
    (
        b"GET /data HTTP/1.1\r\nHost: x\r\nConnection: upgrade\r\nUpgrade: s3cret\r\nContent-Length: 16385\r\n\r\ns3cret",
        413,
    ),
    (b"GET /s3cret" + b"a" * 9_000 + b" HTTP/1.1\r\nHost: x\r\n\r\n", 414),
    (b"GET /data HTTP/1.1\r\nHost: x\r\nX-Long: /s3cret" + b"a" * 9_000 + b"\r\n\r\n", 431),
    (
        b"POST /etl/run/csv HTTP/1.1\r\nHost: x\r\nConnection: close\r\nTransfer-Encoding: chunked\r\n\r\n4001\r\n"
        + b"x" * 0x4001
        + b"\r\n0\r\n\r\n",
        413,
    ),
]


async def test_malformed_requests_are_problems_that_repeat_nothing(tmp_path: Path) -> None:
    port = free_port()
    async with process(tmp_path, PORT=str(port)) as child, aiohttp.ClientSession() as session:

        async def serves() -> bool:
            return await health(session, port) is not None

        await until(serves)
        for sent, status in MALFORMED:
            head, _, body = (await send_bytes(port, sent)).partition(b"\r\n\r\n")
            told = json.loads(body)
            assert (told["status"], head.split()[1].decode()) == (status, str(status)), sent[:40]
            assert b"application/problem+json" in head
            assert f"X-Request-Id: {told['request_id']}".encode() in head
            assert b"aiohttp" not in head
            assert b"s3cret" not in (head + body).lower()
        child.send_signal(signal.SIGTERM)
        _, stderr = await asyncio.wait_for(child.communicate(), 10)
    assert "Traceback" not in stderr.decode()


async def test_sigterm_lets_a_running_request_finish(tmp_path: Path) -> None:
    """This one waits three seconds for Kafka, which is away."""
    port = free_port()
    async with process(tmp_path, PORT=str(port)) as child, aiohttp.ClientSession() as session, aiohttp.ClientSession() as other:

        async def serves() -> bool:
            return await health(session, port) is not None

        await until(serves)  # and its connection is one that the server has taken: what is written to it now has arrived
        waiting = asyncio.create_task(session.post(f"http://127.0.0.1:{port}/etl/run/csv"))
        await health(other, port)
        await health(other, port)
        child.send_signal(signal.SIGTERM)
        async with asyncio.timeout(60):
            response = await waiting
            await child.communicate()
    assert response.status == 503
    assert child.returncode == 0


async def test_a_port_that_is_taken_is_one_clear_line(tmp_path: Path) -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        async with process(tmp_path, PORT=str(taken.getsockname()[1])) as child:
            _, stderr = await asyncio.wait_for(child.communicate(), 20)
    assert child.returncode == 1
    assert "cannot listen on 127.0.0.1" in stderr.decode()
    assert "Traceback" not in stderr.decode()


async def test_a_bad_setting_is_one_line_that_names_it(tmp_path: Path) -> None:
    async with process(tmp_path, PORT="http", DATABASE_URL="mysql://secret-name") as child:
        _, stderr = await asyncio.wait_for(child.communicate(), 20)
    assert child.returncode == 2
    lines = stderr.decode().splitlines()
    assert [line.split(":")[1].strip() for line in lines] == ["DATABASE_URL", "PORT"]
    assert "secret-name" not in stderr.decode()
