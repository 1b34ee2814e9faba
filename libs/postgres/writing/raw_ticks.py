"""The raw table of a source: every content of every listing once."""

from collections.abc import Collection
from uuid import UUID

from libs.postgres.pool import Connection

# The table's name is the source's own, from libs.sources.catalogue, never from a message. To return each row that was stored,
# so that one knows which were not, takes a fifth of the statement's time, and nearly always all were.
INSERT_NEW = """
    INSERT INTO {table} (tick_id, source_id, asset_uid, run_id, fetched_at, source_updated_at, payload)
    SELECT tick_id, source_id, asset_uid, run_id, fetched_at, source_updated_at, payload::jsonb FROM incoming_ticks
    ON CONFLICT (tick_id) DO NOTHING"""

# Those that this transaction stored: what was there before may have been deleted as old since. The unique index serves this.
FIND_STORED = """
    SELECT held.tick_id FROM (SELECT DISTINCT tick_id FROM incoming_ticks) AS incoming CROSS JOIN LATERAL (
        SELECT tick_id FROM {table} WHERE tick_id = incoming.tick_id AND xmin = pg_current_xact_id()::xid OFFSET 0) AS held"""

# The same.
HOLD = "SELECT tick_id FROM {table} WHERE tick_id = ANY($1::uuid[]) FOR KEY SHARE"


async def insert_new(connection: Connection, table: str, tick_ids: Collection[UUID]) -> set[UUID]:
    """Store the incoming ticks, which have these ids, that are new; return the ids that were there already.

    In a transaction without savepoints: what one of those stores has the mark of the savepoint.
    """
    done = await connection.execute(INSERT_NEW.format(table=table))  # "INSERT 0 5000"
    if int(done.rpartition(" ")[2]) == len(tick_ids):
        return set()
    return set(tick_ids) - {row[0] for row in await connection.fetch(FIND_STORED.format(table=table))}


async def hold(connection: Connection, table: str, tick_ids: Collection[UUID]) -> set[UUID]:
    """Keep retention away from these rows until the transaction ends; return the ids of those that are still there."""
    return {row[0] for row in await connection.fetch(HOLD.format(table=table), list(tick_ids))} if tick_ids else set()
