"""A Postgres that takes connections and bytes, and answers nothing: a stopped process, a full disk, a cut cable."""

import asyncio
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any
from urllib.parse import urlsplit

from tests.integration.query.answers import Api, until
from tests.integration.query.conftest import Serve
from tests.integration.query.rows import insert_run

AT_ONCE_SECONDS = 0.5


class Line:
    """A wire to a server that can be held: what is sent then waits."""

    def __init__(self, host: str, port: int) -> None:
        self._address = host, port
        self.open = asyncio.Event()
        self.open.set()

    async def join(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await self.open.wait()
        there, back = await asyncio.open_connection(*self._address)
        async with asyncio.TaskGroup() as tasks:
            tasks.create_task(self._carry(reader, back))
            tasks.create_task(self._carry(there, writer))

    async def _carry(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            while received := await reader.read(65_536):
                await self.open.wait()
                writer.write(received)
                await writer.drain()
        except ConnectionError:
            return
        finally:
            writer.close()


@asynccontextmanager
async def line_to(database_url: str) -> AsyncIterator[tuple[Line, str]]:
    parts = urlsplit(database_url)
    assert parts.hostname is not None
    line = Line(parts.hostname, parts.port or 5432)
    server = await asyncio.start_server(line.join, "127.0.0.1", 0)
    account = parts.netloc.rpartition("@")[0]
    port = server.sockets[0].getsockname()[1]
    try:
        yield line, parts._replace(netloc=f"{account}@127.0.0.1:{port}").geturl()
    finally:
        line.open.set()
        server.close()


async def postgres_is(api: Api, status: str) -> bool:
    return bool((await api.get("/health")).body["dependencies"]["postgres"]["status"] == status)


async def test_health_answers_at_once_while_postgres_is_frozen(serve: Serve, database_url: str) -> None:
    async with line_to(database_url) as (line, url), serve(database_url=url) as api:
        await until(lambda: postgres_is(api, "up"))
        line.open.clear()
        slowest = 0.0

        async def is_seen() -> bool:
            nonlocal slowest
            began = time.monotonic()
            down = await postgres_is(api, "down")
            slowest = max(slowest, time.monotonic() - began)
            return down

        await until(is_seen)
        assert slowest < AT_ONCE_SECONDS
        line.open.set()
        await until(lambda: postgres_is(api, "up"))


async def test_a_reader_gives_a_frozen_connection_up(serve: Serve, database_url: str) -> None:
    async with line_to(database_url) as (line, url), serve(database_url=url) as api:
        await until(lambda: postgres_is(api, "up"))
        line.open.clear()
        began = time.monotonic()
        answered = await api.get("/data/btc")
        assert (answered.status, answered.code) == (503, "postgres_unavailable")
        assert time.monotonic() - began < 8
        line.open.set()

        async def reads() -> bool:
            return (await api.get("/data/btc")).status == 404

        await until(reads)


async def test_the_last_success_is_known_although_nobody_asked_before_postgres_left(
    serve: Serve, database_url: str, database: Any
) -> None:
    await insert_run(database, "coingecko", "succeeded")
    async with line_to(database_url) as (line, url), serve(database_url=url) as api:
        looks: set[object] = set()

        async def was_answered() -> bool:
            """It looks again only when it has the answer of the look before."""
            asked = "SELECT query_start FROM pg_stat_activity WHERE application_name = 'query-test' AND query LIKE '%etl_runs%'"
            looks.update(row[0] for row in await database.fetch(asked))
            return len(looks) > 1

        await until(was_answered)
        line.open.clear()
        await until(lambda: postgres_is(api, "down"))
        body = (await api.get("/health")).body
        line.open.set()
    assert body["last_success"]["coingecko"] is not None
