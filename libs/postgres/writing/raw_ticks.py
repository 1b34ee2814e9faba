"""The raw table of a source: every content of every listing once."""

from collections.abc import Collection, Sequence
from uuid import UUID

from libs.postgres.pool import Connection
from libs.postgres.writing.ticks import Tick

# The table's name is the source's own, from libs.sources.catalogue, never from a message.
INSERT_NEW = """
    INSERT INTO {table} (tick_id, source_id, asset_uid, run_id, fetched_at, source_updated_at, payload)
    SELECT * FROM unnest($1::uuid[], $2::text[], $3::text[], $4::uuid[], $5::timestamptz[], $6::timestamptz[], $7::jsonb[])
    ON CONFLICT (tick_id) DO NOTHING
    RETURNING tick_id"""

# The unique index on tick_id serves this.
HOLD = "SELECT tick_id FROM {table} WHERE tick_id = ANY($1::uuid[]) FOR KEY SHARE"


async def insert_new(connection: Connection, table: str, ticks: Sequence[Tick]) -> set[UUID]:
    """Store the ticks whose tick_id is new; return these ids."""
    quotes = [tick.quote for tick in ticks]
    rows = await connection.fetch(
        INSERT_NEW.format(table=table),
        [quote.tick_id for quote in quotes],
        [quote.source_id for quote in quotes],
        [quote.asset_uid for quote in quotes],
        [quote.run_id for quote in quotes],
        [quote.fetched_at for quote in quotes],
        [quote.source_updated_at for quote in quotes],
        [tick.payload for tick in ticks],
    )
    return {row[0] for row in rows}


async def hold(connection: Connection, table: str, tick_ids: Collection[UUID]) -> set[UUID]:
    """Keep retention away from these rows until the transaction ends; return the ids of those that are still there."""
    return {row[0] for row in await connection.fetch(HOLD.format(table=table), list(tick_ids))} if tick_ids else set()
