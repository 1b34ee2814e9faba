"""The connection pool: how every process reaches Postgres."""

import asyncio
from collections.abc import AsyncIterator, Callable, Coroutine
from contextlib import asynccontextmanager, suppress
from typing import Any, TypeAlias

import asyncpg
from asyncpg.pool import PoolConnectionProxy

Pool: TypeAlias = "asyncpg.Pool[asyncpg.Record]"
Connection: TypeAlias = "asyncpg.Connection[asyncpg.Record] | PoolConnectionProxy[asyncpg.Record]"

CONNECT_SECONDS = 5.0
CLOSE_SECONDS = 5.0


@asynccontextmanager
async def open_pool(
    database_url: str,
    *,
    application: str,
    connections: int,
    statement_seconds: float,
    read_only: bool = False,
    furnish: Callable[["asyncpg.Connection[asyncpg.Record]"], Coroutine[Any, Any, None]] | None = None,
) -> AsyncIterator[Pool]:
    """Open a pool that connects on first use, so that a process can start, and say so, while Postgres is away.

    `statement_seconds` bounds every statement, here and in the server. `furnish` prepares each session once. Whoever borrows a
    connection leaves no state of the session behind, so nothing is reset, which saves a round trip each time one is given
    back. A `read_only` pool refuses to write. One that writes plans each
    statement for the arguments in hand: chunks have one row or 20,000, tables grow under sessions that live long, and the plan
    that Postgres would keep for all of them goes through the chunk for each row of the table, or through the table for each.
    """
    pool = asyncpg.create_pool(
        database_url,
        min_size=0,
        max_size=connections,
        timeout=CONNECT_SECONDS,
        command_timeout=statement_seconds,
        server_settings={
            "application_name": application,
            "statement_timeout": str(int(statement_seconds * 1000)),
            "timezone": "UTC",
            "default_transaction_read_only": "on" if read_only else "off",
            "plan_cache_mode": "auto" if read_only else "force_custom_plan",
        },
        init=furnish,
        reset=_nothing_to_reset,
    )
    await pool
    try:
        yield pool
    finally:
        # Closing waits for a goodbye of the server, which may be silent; given up, asyncpg cuts the connections.
        with suppress(TimeoutError):
            async with asyncio.timeout(CLOSE_SECONDS):
                await pool.close()


async def _nothing_to_reset(_connection: Connection) -> None:
    return
