"""The raw table of a source: every content of every listing once."""

from collections.abc import Collection
from typing import Final
from uuid import UUID

from libs.postgres.pool import Connection

# The table's name is the source's own, from libs.sources.catalogue, never from a message. To return each row that was stored,
# so that one knows which were not, takes a fifth of the statement's time, and nearly always all were.
_INSERT: Final = """
    INSERT INTO {table} (tick_id, source_id, asset_uid, run_id, fetched_at, source_updated_at, payload)
    SELECT tick_id, source_id, asset_uid, run_id, fetched_at, source_updated_at, payload::jsonb FROM incoming_ticks AS incoming"""
INSERT_NEW: Final = f"{_INSERT} ON CONFLICT (tick_id) DO NOTHING"
# For ticks each of which comes once. A tenth cheaper (measured): a row that may be in conflict is written, and confirmed.
INSERT_UNKNOWN: Final = f"""{_INSERT}
    WHERE NOT EXISTS (SELECT FROM {{table}} AS held WHERE held.tick_id = incoming.tick_id OFFSET 0)"""

# Those that this transaction stored: what was there before may have been deleted as old since. The unique index serves this.
FIND_STORED = """
    SELECT held.tick_id FROM (SELECT DISTINCT tick_id FROM incoming_ticks) AS incoming CROSS JOIN LATERAL (
        SELECT tick_id FROM {table} WHERE tick_id = incoming.tick_id AND xmin = pg_current_xact_id()::xid OFFSET 0) AS held"""

# The same.
HOLD = "SELECT tick_id FROM {table} WHERE tick_id = ANY($1::uuid[]) FOR KEY SHARE"


async def insert_new(connection: Connection, table: str, tick_ids: Collection[UUID], *, alone: bool = False) -> set[UUID]:
    """Store the incoming ticks, which have these ids, that are new; return the ids that were there already.

    `alone`: each comes once, and nobody else stores one of them now; raises UniqueViolationError if somebody does. In a
    transaction without savepoints: what one of those stores has the mark of the savepoint.
    """
    insert = INSERT_UNKNOWN if alone else INSERT_NEW
    done = await connection.execute(insert.format(table=table))  # "INSERT 0 5000"
    if int(done.rpartition(" ")[2]) == len(tick_ids):
        return set()
    return set(tick_ids) - {row[0] for row in await connection.fetch(FIND_STORED.format(table=table))}


async def hold(connection: Connection, table: str, tick_ids: Collection[UUID]) -> set[UUID]:
    """Keep retention away from these rows until the transaction ends; return the ids of those that are still there."""
    return {row[0] for row in await connection.fetch(HOLD.format(table=table), list(tick_ids))} if tick_ids else set()
