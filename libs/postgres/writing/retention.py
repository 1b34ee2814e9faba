"""Deleting what is old, some rows at a time: each batch is a short transaction that locks no more than the rows it deletes.

Raw rows are walked along their key: they arrive nearly in the order of `fetched_at`, and a walk meets no dead row twice. A row
that came late among younger ones is met, at the latest, when those are old.
"""

from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from datetime import datetime
from typing import Final, NamedTuple

import asyncpg

from libs.postgres.pool import Connection, Pool
from libs.postgres.writing.chunks import LOCK_SPACE

AT_ONCE: Final = 2_000
"""Rows of a batch: some 50 ms."""
LOCK_SECONDS: Final = 1
"""Longest that a batch waits for a lock, and with that longest that it can make others wait behind it."""
STATEMENT_SECONDS: Final = 10

SET_TIMEOUTS: Final = f"SET LOCAL lock_timeout = '{LOCK_SECONDS}s'; SET LOCAL statement_timeout = '{{statement_seconds}}s'"
TAKE_TURN: Final = "SELECT pg_try_advisory_lock($1, $2)"
END_TURN: Final = "SELECT pg_advisory_unlock($1, $2)"
TURN: Final = 2**31 - 2
"""Ours among the advisory locks of chunks, which are partition numbers and one above this."""

# Table names are the sources' own, from libs.sources.catalogue. The primary keys serve the walk and the look at quotes: what a
# listing says now is kept, however long it has been saying it. A writer whose listing says an old content again holds that row
# (raw_ticks.hold) from before its quote can be seen: it is passed over, or the writer waits and stores the row again. That takes
# two statements, for the second sees every quote of the rows that the first could lock.
FIND_OLD: Final = """
    WITH next AS MATERIALIZED (
        SELECT record_id, tick_id, source_id, fetched_at FROM {table} WHERE record_id > $1 ORDER BY record_id LIMIT $3
    ), locked AS (
        SELECT held.record_id FROM {table} AS held JOIN next USING (record_id)
        WHERE next.fetched_at < $2 AND NOT EXISTS (
            SELECT FROM quotes WHERE quotes.source = $4 AND quotes.source_id = next.source_id AND quotes.tick_id = next.tick_id)
        FOR UPDATE OF held SKIP LOCKED
    )
    SELECT coalesce(max(record_id), $1) AS reached, count(*) FILTER (WHERE fetched_at < $2) AS old,
        (SELECT coalesce(array_agg(record_id), '{{}}') FROM locked) AS locked
    FROM next"""
DELETE_RAW: Final = """
    WITH gone AS (
        DELETE FROM {table} AS held
        WHERE held.record_id = ANY($1::bigint[]) AND NOT EXISTS (
            SELECT FROM quotes WHERE quotes.source = $2 AND quotes.source_id = held.source_id AND quotes.tick_id = held.tick_id)
        RETURNING 1
    )
    SELECT count(*) FROM gone"""

# etl_runs_newest, dead_letters_failed_at, gaps_found_at and schema_drift_found_at serve these.
DELETE_RUNS: Final = """
    WITH old AS MATERIALIZED (
        SELECT run_id FROM etl_runs WHERE last_event_at < $1 ORDER BY last_event_at LIMIT $2
    ), shards AS (
        DELETE FROM etl_run_shards USING old WHERE etl_run_shards.run_id = old.run_id
    ), progress AS (
        DELETE FROM etl_run_progress USING old WHERE etl_run_progress.run_id = old.run_id
    ), gone AS (
        DELETE FROM etl_runs USING old WHERE etl_runs.run_id = old.run_id RETURNING 1
    )
    SELECT count(*) FROM gone"""
DELETE_GAPS: Final = """
    WITH gone AS (
        DELETE FROM gaps WHERE gap_id IN (SELECT gap_id FROM gaps WHERE found_at < $1 ORDER BY found_at LIMIT $2) RETURNING 1
    )
    SELECT count(*) FROM gone"""
DELETE_LETTERS: Final = """
    WITH gone AS (
        DELETE FROM dead_letters WHERE (partition, record_offset) IN (
            SELECT partition, record_offset FROM dead_letters WHERE failed_at < $1 ORDER BY failed_at LIMIT $2)
        RETURNING 1
    )
    SELECT count(*) FROM gone"""
DELETE_DRIFT: Final = """
    WITH gone AS (
        DELETE FROM schema_drift WHERE (run_id, shard, field, kind) IN (
            SELECT run_id, shard, field, kind FROM schema_drift WHERE found_at < $1 ORDER BY found_at LIMIT $2)
        RETURNING 1
    )
    SELECT count(*) FROM gone"""
BY_TIME: Final[Mapping[str, str]] = {
    "etl_runs": DELETE_RUNS,
    "gaps": DELETE_GAPS,
    "schema_drift": DELETE_DRIFT,
    "dead_letters": DELETE_LETTERS,
}


class Batch(NamedTuple):
    """What one batch did: up to which record_id it looked, how many old rows it met, and how many of them it deleted."""

    reached: int
    old: int
    deleted: int


class InTheWayError(Exception):
    """Somebody holds a lock for longer than a batch waits (a rebuild, a migration), or it takes too long: not now."""


@asynccontextmanager
async def turn(pool: Pool) -> AsyncIterator["Connection | None"]:
    """Lend a connection while it is our turn to delete, None while another worker has it. A worker that dies loses it."""
    async with pool.acquire() as connection:
        try:
            is_ours = await connection.fetchval(TAKE_TURN, LOCK_SPACE, TURN)
        except BaseException:
            connection.terminate()  # it may hold the turn, unheard
            raise
        if not is_ours:
            yield None
            return
        try:
            yield connection
        finally:
            if not connection.is_closed():
                try:
                    await connection.execute(END_TURN, LOCK_SPACE, TURN)
                except BaseException:
                    connection.terminate()  # the turn ends with the session
                    raise


async def server_time(connection: Connection) -> datetime:
    """Return what Postgres takes for now."""
    now: datetime = await connection.fetchval("SELECT clock_timestamp()")
    return now


async def delete_raw(
    connection: Connection, source: str, table: str, *, after: int, before: datetime, at_once: int = AT_ONCE
) -> Batch:
    """Look at the next rows after a record_id; delete those that were fetched before, unless a listing's quote is from there.

    Raises InTheWayError.
    """
    async with short(connection):
        found = await connection.fetchrow(FIND_OLD.format(table=table), after, before, at_once, source)
        if found is None:
            raise RuntimeError("an aggregate gave no row")
        deleted = await connection.fetchval(DELETE_RAW.format(table=table), found["locked"], source)
    return Batch(found["reached"], found["old"], deleted)


async def delete_old(connection: Connection, table: str, *, before: datetime, at_once: int = AT_ONCE) -> int:
    """Delete some of what is older in a table of BY_TIME; return how much. Raises InTheWayError."""
    async with short(connection):
        return int(await connection.fetchval(BY_TIME[table], before, at_once))


@asynccontextmanager
async def short(connection: Connection, *, statement_seconds: int = STATEMENT_SECONDS) -> AsyncIterator[None]:
    """Begin a transaction that gives up soon. Raises InTheWayError."""
    try:
        async with connection.transaction():
            await connection.execute(SET_TIMEOUTS.format(statement_seconds=statement_seconds))
            yield
    except (asyncpg.LockNotAvailableError, asyncpg.QueryCanceledError) as error:
        raise InTheWayError(str(error)) from error
