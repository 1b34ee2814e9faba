"""Clients that send a byte a second, or do not read: they cost a place for a while, and nobody else's answer."""

import asyncio
import json
import resource
import socket
import time
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager, suppress
from pathlib import Path
from typing import Any

import aiohttp
import psutil
import pytest
from aiohttp import web

from libs.process.clock import SystemClock
from services.query.connections import Connections, Runner
from services.query.malformed import LARGEST_HEAD
from tests.integration.query.answers import until
from tests.integration.query.rows import AssetRow, insert_assets, insert_raw_ticks
from tests.integration.query.test_process import free_port, health, process

SENDERS, READERS = 2_000, 1_000
ATTACK_SECONDS, ANSWERS = 8.0, 3
"""For how long at least, and how many answers the fast client gets in it: starved of processors, it takes longer."""
REASONABLE_SECONDS, LONGEST_SECONDS = 2.5, 30.0
"""For most answers, and for each, while this process drives 3,000 clients on the same processors, and others their own."""
MOST_MEMORY = 400 * 1024 * 1024


@pytest.fixture
def descriptors() -> None:
    """Room for the clients, which live in this process."""
    _, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
    assert hard == resource.RLIM_INFINITY or hard > SENDERS + READERS + 500, f"the system allows {hard} descriptors"


async def connected(port: int, *, receive_buffer: int | None = None) -> socket.socket:
    client = socket.socket()
    client.setblocking(False)
    if receive_buffer is not None:
        client.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, receive_buffer)
    async with asyncio.timeout(30):
        await asyncio.get_running_loop().sock_connect(client, ("127.0.0.1", port))
    return client


def push(client: socket.socket, data: bytes) -> bool:
    """Send without waiting; whether the connection still stands."""
    try:
        client.send(data)
    except BlockingIOError:
        return True
    except OSError:
        return False
    return True


async def slow_senders(port: int, clients: list[socket.socket]) -> None:
    """Connect as many as there are to be, then send each a byte a second for ever; whoever is cut off comes again."""
    for _ in range(SENDERS):
        clients.append(await connected(port))
        push(clients[-1], b"GET /data HTTP/1.1\r\nX-Slow: ")
    while True:
        began = time.monotonic()
        for place, client in enumerate(clients):
            if not push(client, b"a"):
                client.close()
                with suppress(ConnectionError):  # cut off again already
                    clients[place] = await connected(port)
                    push(clients[place], b"GET /data HTTP/1.1\r\nX-Slow: ")
            if place % 100 == 0:
                await asyncio.sleep(0)
        await asyncio.sleep(max(0.0, 1.0 - (time.monotonic() - began)))


async def slow_readers(port: int, clients: list[socket.socket]) -> None:
    """Each asks for a large page again and again and reads a byte a second."""
    ask = b"GET /data/raw/csv?limit=500 HTTP/1.1\r\nHost: x\r\n\r\n"
    for _ in range(READERS):
        clients.append(await connected(port, receive_buffer=4_096))
        push(clients[-1], ask * 3)
        await asyncio.sleep(0)
    while True:
        began = time.monotonic()
        for client in clients:
            try:
                client.recv(1)
            except OSError:
                continue
        await asyncio.sleep(max(0.0, 1.0 - (time.monotonic() - began)))


@asynccontextmanager
async def attacked(port: int) -> AsyncIterator[Sequence[socket.socket]]:
    clients: tuple[list[socket.socket], list[socket.socket]] = ([], [])
    tasks = [asyncio.create_task(slow_senders(port, clients[0])), asyncio.create_task(slow_readers(port, clients[1]))]
    try:
        async with asyncio.timeout(400):
            while len(clients[0]) < SENDERS or len(clients[1]) < READERS:
                for task in tasks:
                    if task.done():
                        task.result()
                await asyncio.sleep(0.1)
        yield [*clients[0], *clients[1]]
    finally:
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        for client in [*clients[0], *clients[1]]:
            client.close()


@pytest.mark.timeout(600)
async def test_three_thousand_slow_clients_keep_no_fast_one_waiting(
    tmp_path: Path, database: Any, database_url: str, descriptors: None
) -> None:
    await insert_assets(database, [AssetRow(f"a{number}") for number in range(200)])
    await insert_raw_ticks(database, "csv", [json.dumps({"junk": "x" * 1_000, "number": number}) for number in range(500)])
    port = free_port()
    url = f"http://127.0.0.1:{port}"
    async with process(tmp_path, PORT=str(port), DATABASE_URL=database_url, HTTP_CONNECTIONS="500", LOG_LEVEL="ERROR") as child:
        async with aiohttp.ClientSession() as session:

            async def serves() -> bool:
                return await health(session, port) is not None

            await until(serves, seconds=30)
        server = psutil.Process(child.pid)
        async with attacked(port):
            until_then, memory, descriptors_held = time.monotonic() + ATTACK_SECONDS, 0, 0
            waits: list[float] = []
            while time.monotonic() < until_then or len(waits) < ANSWERS:
                began = time.monotonic()
                async with aiohttp.ClientSession() as fresh, fresh.get(f"{url}/data?limit=200") as answered:
                    body = await answered.json()
                waits.append(time.monotonic() - began)
                assert (answered.status, len(body["data"])) == (200, 200)
                memory = max(memory, server.memory_info().rss)
                descriptors_held = max(descriptors_held, server.num_fds())
                await asyncio.sleep(0.1)
        assert 500 < descriptors_held < 500 + 300  # every place is taken, and no more than there are
        assert sorted(waits)[len(waits) // 2] < REASONABLE_SECONDS
        assert max(waits) < LONGEST_SECONDS
        assert memory < MOST_MEMORY
        child.terminate()
        async with asyncio.timeout(30):
            _, stderr = await child.communicate()
    assert child.returncode == 0
    assert b"Traceback" not in stderr


@asynccontextmanager
async def listening(connections: Connections, answer: bytes = b"ok") -> AsyncIterator[int]:
    """A server with nothing behind it; yields its port."""

    async def serve(_: web.Request) -> web.Response:
        return web.Response(body=answer)

    app = web.Application()
    app.router.add_get("/", serve)
    runner = Runner(app, connections)
    await runner.setup()
    try:
        await web.TCPSite(runner, "127.0.0.1", 0).start()
        yield runner.addresses[0][1]
    finally:
        await runner.cleanup()


async def answer_of(client: socket.socket) -> bytes:
    """Everything until the server closes."""
    answered = b""
    async with asyncio.timeout(20):
        with suppress(ConnectionResetError):
            while received := await asyncio.get_running_loop().sock_recv(client, 65_536):
                answered += received
    return answered


async def test_one_connection_more_takes_the_place_of_the_one_idle_longest() -> None:
    connections = Connections(3, SystemClock())
    async with listening(connections) as port:
        clients = [await connected(port) for _ in range(3)]
        loop = asyncio.get_running_loop()

        async def there_are_three() -> bool:
            return len(connections.open) == 3

        await until(there_are_three)
        await loop.sock_sendall(clients[0], b"GET / HTTP/1.1\r\nHost: x\r\n\r\n")  # now the second is the one idle longest
        assert b"200 OK" in await loop.sock_recv(clients[0], 1_000)
        fourth = await connected(port)
        assert await answer_of(clients[1]) == b""
        for client in (clients[0], clients[2], fourth):
            await loop.sock_sendall(client, b"GET / HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n")
            assert (await answer_of(client)).endswith(b"ok")
            client.close()
        clients[1].close()

        async def all_are_gone() -> bool:
            return not (connections.open or connections.idle or connections.unread)

        await until(all_are_gone)


async def test_an_answer_that_is_not_read_is_given_up_after_its_time() -> None:
    connections = Connections(10, SystemClock(), answer_seconds=0.3)
    async with listening(connections, b"x" * 20_000_000) as port:
        client = await connected(port, receive_buffer=4_096)
        push(client, b"GET / HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n")

        async def was_held_and_is_gone() -> bool:
            return not connections.open

        async def is_held() -> bool:
            return bool(connections.unread)

        await until(is_held)
        await until(was_held_and_is_gone)
        client.close()


async def test_unread_answers_take_no_more_memory_than_allowed() -> None:
    connections = Connections(10, SystemClock(), largest_unread=45_000_000)
    async with listening(connections, b"x" * 20_000_000) as port:
        clients = []
        for asked in range(1, 6):
            clients.append(await connected(port, receive_buffer=4_096))
            push(clients[-1], b"GET / HTTP/1.1\r\nHost: x\r\n\r\n")

            async def is_noted(asked: int = asked) -> bool:
                held = sum(one.unread_bytes() for one in connections.unread)
                assert held <= 45_000_000
                return len(connections.unread) == min(asked, 2)

            await until(is_noted)
        for client in clients:
            client.close()


async def test_a_head_without_end_is_431() -> None:
    connections = Connections(10, SystemClock())
    async with listening(connections) as port:
        client = await connected(port)
        loop = asyncio.get_running_loop()
        await loop.sock_sendall(client, b"GET / HTTP/1.1\r\n")
        header = b"X-%d: " + b"a" * 4_000 + b"\r\n"
        sent = 0
        while sent <= LARGEST_HEAD:
            line = header % sent
            await loop.sock_sendall(client, line)
            sent += len(line)
            await asyncio.sleep(0.005)  # what arrives after the answer makes the system discard it
        answered = await answer_of(client)
        client.close()
        assert b" 431 " in answered.splitlines()[0]
        assert b"request_header_fields_too_large" in answered
