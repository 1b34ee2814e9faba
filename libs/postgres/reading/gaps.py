"""Reading what is known to be missing: the table of gaps and the shards that failed, as one list, newest first."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Final

from libs.postgres.pool import Connection
from libs.postgres.reading.rows import Row

SHARD_FAILED: Final = "shard_failed"
_LONG_AGO: Final = datetime(1, 1, 2, tzinfo=UTC)
_NEVER: Final = datetime(9999, 12, 30, tzinfo=UTC)

# Each half is walked along its index of times and stops at the limit. A shard's name may be long: its hash is in the key.
PAGE: Final = """
    SELECT * FROM (
        (SELECT found_at, gap_id::text AS key, kind, source, gap_id, first_due, last_due, runs, interval_seconds,
             consumer_group, topic, partition, from_offset, to_offset, NULL::uuid AS run_id, NULL AS shard, NULL AS error
         FROM gaps
         WHERE found_at <= $1 AND (found_at, gap_id::text) < ($1, $2) AND found_at >= $3
             AND ($4::text IS NULL OR source = $4) AND ($5::text IS NULL OR kind = $5)
         ORDER BY found_at DESC, key DESC LIMIT $6)
        UNION ALL
        (SELECT shard.reported_at, shard.run_id || encode(sha256(convert_to(shard.shard, 'UTF8')), 'hex') AS key,
             'shard_failed', run.source, NULL, NULL, NULL, NULL, NULL,
             NULL, NULL, NULL, NULL, NULL, shard.run_id, shard.shard, shard.error
         FROM etl_run_shards AS shard JOIN etl_runs AS run USING (run_id)
         WHERE shard.error IS NOT NULL AND shard.reported_at <= $1 AND shard.reported_at >= $3
             AND (shard.reported_at, shard.run_id || encode(sha256(convert_to(shard.shard, 'UTF8')), 'hex')) < ($1, $2)
             AND ($4::text IS NULL OR run.source = $4) AND ($5::text IS NULL OR $5 = 'shard_failed')
         ORDER BY shard.reported_at DESC, key DESC LIMIT $6)
    ) AS known
    ORDER BY found_at DESC, key DESC LIMIT $6"""


@dataclass(frozen=True, slots=True)
class GapsWanted:
    """What to list: `after` is where the last page ended, as its last row's `found_at` and `key`."""

    limit: int
    source: str | None = None
    kind: str | None = None
    since: datetime | None = None
    after: tuple[datetime, str] | None = None


async def load_gaps(connection: Connection, wanted: GapsWanted) -> Sequence[Row]:
    """Return a page. The columns of the other kinds are null; a failed shard has its run and its error instead of a gap_id."""
    before, key = wanted.after or (_NEVER, "")
    since = wanted.since or _LONG_AGO
    return await connection.fetch(PAGE, before, key, since, wanted.source, wanted.kind, wanted.limit)
