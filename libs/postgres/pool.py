"""The connection pool: how every process reaches Postgres."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import TypeAlias

import asyncpg
from asyncpg.pool import PoolConnectionProxy

Pool: TypeAlias = "asyncpg.Pool[asyncpg.Record]"
Connection: TypeAlias = "asyncpg.Connection[asyncpg.Record] | PoolConnectionProxy[asyncpg.Record]"

CONNECT_SECONDS = 5.0
CLOSE_SECONDS = 5.0


@asynccontextmanager
async def open_pool(
    database_url: str, *, application: str, connections: int, statement_seconds: float, read_only: bool = False
) -> AsyncIterator[Pool]:
    """Open a pool that connects on first use, so that a process can start, and say so, while Postgres is away.

    `statement_seconds` bounds every statement, here and in the server. A `read_only` pool refuses to write, and its
    sessions hold nothing to reset, which saves a round trip each time a connection is given back.
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
        },
        reset=_nothing_to_reset if read_only else None,
    )
    async with pool:
        yield pool


async def _nothing_to_reset(_connection: Connection) -> None:
    return
