"""What has drifted in the rows of the sources, as the runs' events tell it. An event that comes again changes nothing."""

from typing import Final

from libs.contracts.run_events import ShardPublished
from libs.postgres.pool import Connection

INSERT: Final = """
    INSERT INTO schema_drift (run_id, shard, field, kind, source, was, has_now, found_at) VALUES ($1, $2, $3, $4, $5, $6, $7, $8)
    ON CONFLICT (run_id, shard, field, kind) DO NOTHING"""


async def insert_drift(connection: Connection, event: ShardPublished) -> None:
    """Write down what a shard's answer was the first to show."""
    if event.drift:
        of = event.run_id, event.shard
        rows = [(*of, one.field, one.kind, event.source, one.was, one.now, event.at) for one in event.drift]
        await connection.executemany(INSERT, rows)
