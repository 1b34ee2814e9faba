"""Sessions that write: the tables that rows come in by are there from the first moment, so that no chunk asks for them."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Final

from libs.postgres.pool import Connection, Pool, open_pool
from libs.postgres.writing import assets, ticks

CREATE_TABLES: Final = "; ".join(incoming.create_table for incoming in (ticks.INCOMING, assets.INCOMING))


@asynccontextmanager
async def open_writing_pool(
    database_url: str, *, application: str, connections: int, statement_seconds: float
) -> AsyncIterator[Pool]:
    """Open a pool for what this package writes; see `libs.postgres.pool.open_pool`."""
    async with open_pool(
        database_url, application=application, connections=connections, statement_seconds=statement_seconds, furnish=_furnish
    ) as pool:
        yield pool


async def _furnish(connection: Connection) -> None:
    await connection.execute(CREATE_TABLES)
