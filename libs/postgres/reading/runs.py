"""Reading what became of runs."""

from collections.abc import Sequence
from datetime import datetime
from uuid import UUID

from libs.postgres.pool import Connection
from libs.postgres.reading.rows import Row

RECENT_RUNS = """
    SELECT *, count(*) OVER () AS total FROM etl_runs
    WHERE ($1::text IS NULL OR source = $1) AND ($2::text IS NULL OR status = $2)
    ORDER BY last_event_at DESC, run_id
    LIMIT $3 OFFSET $4"""
COUNT_RUNS = "SELECT count(*) FROM etl_runs WHERE ($1::text IS NULL OR source = $1) AND ($2::text IS NULL OR status = $2)"


async def load_runs(
    connection: Connection, *, source: str | None, status: str | None, limit: int, offset: int
) -> tuple[Sequence[Row], int]:
    """Return a page of runs, the one with the latest news first, and how many there are."""
    rows = await connection.fetch(RECENT_RUNS, source, status, limit, offset)
    if rows:
        return rows, rows[0]["total"]
    return rows, int(await connection.fetchval(COUNT_RUNS, source, status))


RUN_WITH_SHARDS = """
    SELECT r.*,
           s.shard AS shard, s.fetched AS shard_fetched, s.unchanged AS shard_unchanged, s.published AS shard_published,
           s.dead_lettered AS shard_dead_lettered, s.error AS shard_error, s.reported_at AS shard_reported_at
    FROM etl_runs r LEFT JOIN etl_run_shards s USING (run_id)
    WHERE r.run_id = $1
    ORDER BY s.shard"""


async def load_run_with_shards(connection: Connection, run_id: UUID) -> Sequence[Row]:
    """Return one row a shard that has reported (one without a shard when none has); empty when the run is unknown."""
    return await connection.fetch(RUN_WITH_SHARDS, run_id)


LAST_RUN = "SELECT * FROM etl_runs WHERE source = $1 ORDER BY last_event_at DESC LIMIT 1"
LAST_SUCCESS = "SELECT * FROM etl_runs WHERE source = $1 AND status = 'succeeded' ORDER BY last_event_at DESC LIMIT 1"


async def load_last_runs(connection: Connection, source: str) -> tuple[Row | None, Row | None]:
    """Return the source's run with the latest news and its latest success."""
    return await connection.fetchrow(LAST_RUN, source), await connection.fetchrow(LAST_SUCCESS, source)


LAST_SUCCESSES = """
    SELECT asked.source, (SELECT finished_at FROM etl_runs r WHERE r.source = asked.source AND r.status = 'succeeded'
                          ORDER BY last_event_at DESC LIMIT 1) AS finished_at
    FROM unnest($1::text[]) AS asked (source)"""


async def load_last_successes(connection: Connection, sources: Sequence[str]) -> dict[str, datetime | None]:
    """Return for each of these sources when its latest successful run ended."""
    return {row["source"]: row["finished_at"] for row in await connection.fetch(LAST_SUCCESSES, sources)}


FAILURES_COUNTED = 100
FAILED_SINCE_SUCCESS = """
    SELECT asked.source, count(failed.error) AS failures, (array_agg(failed.error ORDER BY failed.last_event_at DESC))[1] AS error
    FROM unnest($1::text[]) AS asked (source)
    LEFT JOIN LATERAL (
        SELECT coalesce(run.error, '') AS error, run.last_event_at FROM etl_runs AS run
        WHERE run.source = asked.source AND run.status = 'failed' AND run.last_event_at > coalesce(
            (SELECT last_event_at FROM etl_runs AS success WHERE success.source = asked.source AND success.status = 'succeeded'
             ORDER BY last_event_at DESC LIMIT 1), '-infinity')
        ORDER BY run.last_event_at DESC LIMIT $2) AS failed ON true
    GROUP BY asked.source"""


async def load_failures(connection: Connection, sources: Sequence[str]) -> Sequence[Row]:
    """Return for each of these sources how many runs failed since its latest success (up to 100), and the newest error."""
    return await connection.fetch(FAILED_SINCE_SUCCESS, sources, FAILURES_COUNTED)
