"""Runs and their shards, projected from etl.runs. Any event may come again; a status never goes back, an end never changes."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final
from uuid import UUID

import asyncpg
import msgspec

from libs.contracts.run_events import (
    ANOMALIES,
    RunEvent,
    RunFailed,
    RunRequested,
    RunSkipped,
    RunStarted,
    RunSucceeded,
    RunTotals,
    ShardFailed,
    ShardPublished,
)
from libs.domain.runs import RunStatus
from libs.postgres.pool import Connection, Pool
from libs.postgres.writing.schema_drift import insert_drift

UPSERT_RUN: Final = """
    INSERT INTO etl_runs AS held (run_id, source, trigger, status, shards, requested_at, started_at, finished_at, error,
        last_event_at)
    VALUES ($1, $2, $3, $4, $5::text[], $6, $7, $8, $9, $10)
    ON CONFLICT (run_id) DO UPDATE SET
        trigger = coalesce(held.trigger, excluded.trigger),
        status = CASE WHEN array_position($11::text[], excluded.status) > array_position($11::text[], held.status)
            THEN excluded.status ELSE held.status END,
        shards = coalesce(held.shards, excluded.shards),
        requested_at = coalesce(held.requested_at, excluded.requested_at),
        started_at = coalesce(held.started_at, excluded.started_at),
        finished_at = coalesce(held.finished_at, excluded.finished_at),
        error = coalesce(held.error, excluded.error),
        last_event_at = greatest(held.last_event_at, excluded.last_event_at)
    WHERE held.status <> ALL($12::text[])"""

RANKS: Final = [RunStatus.REQUESTED, RunStatus.RUNNING, RunStatus.PUBLISHED, *(s for s in RunStatus if s.is_terminal)]
TERMINAL: Final = [status for status in RunStatus if status.is_terminal]

INSERT_SHARD: Final = """
    INSERT INTO etl_run_shards (run_id, shard, fetched, unchanged, published, dead_lettered, last_offsets, error, reported_at)
    VALUES ($1, $2, $3, $4, $5, $6, $7::jsonb, $8, $9)
    ON CONFLICT (run_id, shard) DO NOTHING"""

ADD_SHARDS_UP: Final = """
    UPDATE etl_runs SET
        fetched = reported.fetched, unchanged = reported.unchanged, published = reported.published,
        dead_lettered = reported.dead_lettered,
        status = CASE WHEN shards <@ reported.names THEN 'published' ELSE status END,
        published_at = CASE WHEN shards <@ reported.names THEN reported.last END
    FROM (
        SELECT sum(fetched) AS fetched, sum(unchanged) AS unchanged, sum(published) AS published,
            sum(dead_lettered) AS dead_lettered, array_agg(shard) AS names, max(reported_at) AS last
        FROM etl_run_shards WHERE run_id = $1
    ) AS reported
    WHERE run_id = $1 AND status <> ALL($2::text[]) AND reported.names IS NOT NULL"""

SET_JUDGEMENT: Final = "UPDATE etl_runs SET price_moves = $2::jsonb, anomalies = $3::jsonb WHERE run_id = $1"

SET_TOTALS: Final = """
    UPDATE etl_runs SET fetched = $2, unchanged = $3, published = $4, stored = $5, duplicate = $6, dead_lettered = $7
    WHERE run_id = $1"""

LOAD_PUBLISHED: Final = """
    SELECT run.run_id, run.source, run.trigger, run.requested_at, run.fetched, run.unchanged, run.published,
        run.dead_lettered + coalesce(applied.dead_lettered, 0) AS dead_lettered, coalesce(applied.stored, 0) AS stored,
        coalesce(applied.duplicate, 0) AS duplicate, shard.last_offsets, shard.errors, applied.moves,
        coalesce(run.started_at, run.requested_at, run.published_at) AS began_at
    FROM etl_runs AS run
    LEFT JOIN LATERAL (
        SELECT sum(stored) AS stored, sum(duplicate) AS duplicate, sum(dead_lettered) AS dead_lettered,
            array_agg(moves::text) FILTER (WHERE moves IS NOT NULL) AS moves
        FROM etl_run_progress WHERE run_id = run.run_id AND source = run.source
    ) AS applied ON true
    LEFT JOIN LATERAL (
        SELECT array_agg(last_offsets::text) AS last_offsets,
            array_agg(shard || ': ' || error ORDER BY shard) FILTER (WHERE error IS NOT NULL) AS errors
        FROM etl_run_shards WHERE run_id = run.run_id
    ) AS shard ON true
    WHERE run.status = 'published'
    ORDER BY run.published_at"""


@dataclass(frozen=True, slots=True)
class PublishedRun:
    """A run whose ticks are all in the raw topic: it ends when they have been applied.

    `last_offsets`: partition of the raw topic -> offset of the run's last tick there. `errors`: the shards that failed.
    `moves`: how far its prices moved, as counted so far in each of libs.domain.anomalies.MOVE_BOUNDS.
    """

    run_id: UUID
    source: str
    last_offsets: Mapping[int, int]
    errors: tuple[str, ...]
    totals: RunTotals
    began_at: datetime
    moves: Sequence[int] = ()
    trigger: str | None = None
    requested_at: datetime | None = None
    """None of a run whose first events were never seen."""


async def project(pool: Pool, events: Iterable[RunEvent]) -> None:
    """Write what the events say, in one transaction."""
    async with pool.acquire() as connection, connection.transaction():
        for event in events:
            await _project_one(connection, event)


async def load_published(pool: Pool) -> list[PublishedRun]:
    """Return the runs that wait for their ticks to be applied, with what has been counted so far."""
    return [_published_of(row) for row in await pool.fetch(LOAD_PUBLISHED)]


async def _project_one(connection: Connection, event: RunEvent) -> None:
    match event:
        case RunRequested():
            await _upsert(connection, event, RunStatus.REQUESTED, trigger=event.trigger, requested_at=event.at)
        case RunStarted():
            await _upsert(connection, event, RunStatus.RUNNING, trigger=event.trigger, shards=event.shards, started_at=event.at)
            await connection.execute(ADD_SHARDS_UP, event.run_id, TERMINAL)
        case ShardPublished() | ShardFailed():
            await _upsert(connection, event, RunStatus.RUNNING)
            await connection.execute(INSERT_SHARD, event.run_id, event.shard, *_counts(event), event.at)
            if isinstance(event, ShardPublished):
                await insert_drift(connection, event)
            await connection.execute(ADD_SHARDS_UP, event.run_id, TERMINAL)
        case RunSkipped():
            await _upsert(connection, event, RunStatus.SKIPPED, trigger=event.trigger, finished_at=event.at, error=event.reason)
        case RunSucceeded():
            if await _upsert(connection, event, RunStatus.SUCCEEDED, finished_at=event.at):
                await connection.execute(SET_TOTALS, event.run_id, *_totals(event.totals))
                await connection.execute(SET_JUDGEMENT, event.run_id, *_judgement(event))
        case RunFailed():
            if await _upsert(connection, event, RunStatus.FAILED, finished_at=event.at, error=event.error):
                await connection.execute(SET_TOTALS, event.run_id, *_totals(event.totals))


async def _upsert(
    connection: Connection,
    event: RunEvent,
    status: RunStatus,
    *,
    trigger: str | None = None,
    shards: tuple[str, ...] | None = None,
    requested_at: datetime | None = None,
    started_at: datetime | None = None,
    finished_at: datetime | None = None,
    error: str | None = None,
) -> bool:
    """Merge the event into its run; return whether the run had not ended before."""
    tag = await connection.execute(
        UPSERT_RUN,
        *(event.run_id, event.source, trigger, status, shards, requested_at, started_at, finished_at, error, event.at),
        *(RANKS, TERMINAL),
    )
    return bool(tag.endswith(" 1"))


def _counts(event: ShardPublished | ShardFailed) -> tuple[Any, ...]:
    if isinstance(event, ShardFailed):
        return 0, 0, 0, 0, "{}", event.error
    counts = event.counts
    offsets = msgspec.json.encode({str(partition): offset for partition, offset in event.last_offsets.items()}).decode()
    return counts.fetched, counts.unchanged, counts.published, counts.dead_lettered, offsets, None


def _totals(totals: RunTotals) -> tuple[int, ...]:
    return totals.fetched, totals.unchanged, totals.published, totals.stored, totals.duplicate, totals.dead_lettered


def _published_of(row: asyncpg.Record) -> PublishedRun:
    last_offsets: dict[int, int] = {}
    for text in row["last_offsets"] or ():
        for partition, offset in msgspec.json.decode(text).items():
            last_offsets[int(partition)] = max(offset, last_offsets.get(int(partition), -1))
    totals = RunTotals(**{name: int(row[name]) for name in RunTotals.model_fields})
    moves = [sum(column) for column in zip(*map(_array, row["moves"] or ()), strict=True)]
    errors = tuple(row["errors"] or ())
    known = {"moves": moves, "trigger": row["trigger"], "requested_at": row["requested_at"]}
    return PublishedRun(row["run_id"], row["source"], last_offsets, errors, totals, row["began_at"], **known)


def _array(text: str) -> list[int]:
    return [int(number) for number in text.strip("{}").split(",")]


def _judgement(event: RunSucceeded) -> tuple[str | None, str]:
    moves = None if event.price_moves is None else event.price_moves.model_dump_json()
    return moves, ANOMALIES.dump_json(event.anomalies).decode()
