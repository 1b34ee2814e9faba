"""The raw table of a source: every content of every listing once."""

from collections.abc import Collection
from uuid import UUID

from libs.postgres.pool import Connection

# The table's name is the source's own, from libs.sources.catalogue, never from a message. EXCEPT hashes, whatever the planner
# thinks of the table's size: it learned that when the table was small.
INSERT_NEW = """
    WITH stored AS (
        INSERT INTO {table} (tick_id, source_id, asset_uid, run_id, fetched_at, source_updated_at, payload)
        SELECT tick_id, source_id, asset_uid, run_id, fetched_at, source_updated_at, payload::jsonb FROM incoming_ticks
        ON CONFLICT (tick_id) DO NOTHING
        RETURNING tick_id
    )
    SELECT tick_id FROM incoming_ticks EXCEPT SELECT tick_id FROM stored"""

# The unique index on tick_id serves this.
HOLD = "SELECT tick_id FROM {table} WHERE tick_id = ANY($1::uuid[]) FOR KEY SHARE"


async def insert_new(connection: Connection, table: str) -> set[UUID]:
    """Store the incoming ticks whose tick_id is new; return the ids that were there already, which are few in quiet times."""
    return {row[0] for row in await connection.fetch(INSERT_NEW.format(table=table))}


async def hold(connection: Connection, table: str, tick_ids: Collection[UUID]) -> set[UUID]:
    """Keep retention away from these rows until the transaction ends; return the ids of those that are still there."""
    return {row[0] for row in await connection.fetch(HOLD.format(table=table), list(tick_ids))} if tick_ids else set()
