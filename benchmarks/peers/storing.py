"""One batch in one transaction: what every peer with a sink of its own does with its ticks."""

from collections.abc import Sequence

import asyncpg

from benchmarks.peers.messages import Tick, newest_of_each
from benchmarks.peers.statements import INSERT_RAW, UPSERT_QUOTES, quote_columns, raw_columns


async def store(connection: "asyncpg.Connection[asyncpg.Record]", ticks: Sequence[Tick]) -> None:
    """Store the raw rows and move the quotes."""
    quotes = newest_of_each(ticks)
    async with connection.transaction():
        await connection.execute(INSERT_RAW, *raw_columns(ticks))
        await connection.execute(UPSERT_QUOTES, *quote_columns(quotes))
