"""GET /stats: runs, sources, checkpoints."""

from collections.abc import Collection, Mapping, Sequence
from datetime import datetime
from typing import Any

from aiohttp import web

from libs.domain.runs import RunStatus
from libs.kafka.errors import KafkaUnreachableError
from libs.kafka.lag import PartitionLag
from libs.postgres.pool import Connection
from libs.postgres.reading.acquiring import reading
from libs.postgres.reading.assets import count_assets_by_source
from libs.postgres.reading.quotes import summarise_quotes
from libs.postgres.reading.raw_ticks import count_raw_ticks
from libs.postgres.reading.rows import Row
from libs.postgres.reading.runs import load_last_runs, load_run_with_shards, load_runs
from libs.postgres.reading.schema_drift import load_drift
from libs.sources.catalogue import SOURCES
from services.query.endpoints import NoParameters, Parameters
from services.query.following import unreachable
from services.query.holding_cursors import CursorBoard
from services.query.keys import CHECKPOINTS, CLOCK, CURSORS, LAG, PROGRESS, READERS, REPORTS, RUNNING, TOPICS
from services.query.parameters import Limit, Offset, RunId, SourceFilter
from services.query.problems import KafkaUnavailableError, RunNotFoundError
from services.query.progress import Progress
from services.query.rendering import Answer
from services.query.views.polling import quota_body, schedule_body
from services.query.views.runs import run_body, run_detail_body
from services.query.views.state import drift_body


class RunsAsked(Parameters):
    """A page of runs."""

    limit: Limit = 50
    offset: Offset = 0
    source: SourceFilter | None = None
    status: RunStatus | None = None


class RunAsked(Parameters):
    """One run."""

    run_id: RunId


async def list_runs(request: web.Request, asked: RunsAsked) -> Answer:
    """Return recent runs."""
    async with reading(request.app[READERS]) as connection:
        rows, total = await load_runs(
            connection, source=asked.source, status=asked.status, limit=asked.limit, offset=asked.offset
        )
    return Answer({"runs": [run_body(row) for row in rows], "total": total, "limit": asked.limit, "offset": asked.offset})


async def get_run(request: web.Request, asked: RunAsked) -> Answer:
    """Return one run with its shards."""
    async with reading(request.app[READERS]) as connection:
        rows = await load_run_with_shards(connection, asked.run_id)
    if not rows:
        raise RunNotFoundError(f"no run {asked.run_id} is recorded", run_id=asked.run_id)
    return Answer(run_detail_body(rows))


async def list_sources(request: web.Request, _asked: NoParameters) -> Answer:
    """Return what has come of each source."""
    async with reading(request.app[READERS]) as connection:
        return Answer({"sources": await _sources(request, connection)})


async def list_checkpoints(request: web.Request, _asked: NoParameters) -> Answer:
    """Return where the normalizer stands."""
    return Answer({"group": request.app[TOPICS].group, **await _checkpoints(request)})


async def debug(request: web.Request, _asked: NoParameters) -> Answer:
    """Return counts and checkpoints; Kafka's part is null while Kafka is away."""
    unavailable: dict[str, str] = {}
    checkpoints: Mapping[str, object] = {"members": None, "checkpoints": None}
    try:
        checkpoints = await _checkpoints(request)
    except KafkaUnavailableError as error:
        unavailable["kafka"] = error.detail
    async with reading(request.app[READERS]) as connection:
        assets, sources = await count_assets_by_source(connection), await _sources(request, connection)
    body = {"assets": sum(assets.values()), "sources": sources, "group": request.app[TOPICS].group, **checkpoints}
    return Answer(body | {"unavailable": unavailable})


async def _sources(request: web.Request, connection: Connection) -> object:
    app = request.app
    return await app[REPORTS].get("sources", lambda: _read_sources(connection, app[RUNNING], app[CURSORS], app[CLOCK].utc()))


async def _read_sources(connection: Connection, running: tuple[str, ...], cursors: CursorBoard, now: datetime) -> object:
    quotes, assets = await summarise_quotes(connection), await count_assets_by_source(connection)
    bodies = [await _source_body(connection, source, quotes.get(source), assets.get(source, 0), now) for source in SOURCES]
    return [body | _polling_body(body["source"], running, cursors, now) for body in bodies]


def _polling_body(source: str, running: Collection[str], cursors: CursorBoard, now: datetime) -> dict[str, Any]:
    schedule, quota = schedule_body(cursors.schedule_of(source)), quota_body(cursors.usages_of(source), now)
    return {"runs_here": source in running, "schedule": schedule, "quota": quota}


async def _source_body(connection: Connection, source: str, quotes: Row | None, assets: int, now: datetime) -> dict[str, Any]:
    raw, estimated = await count_raw_ticks(connection, source)
    last, success = await load_last_runs(connection, source)
    newest = quotes["newest_event_at"] if quotes else None
    return {
        "source": source,
        "raw": {"count": raw, "estimated": estimated},
        "listings": quotes["quotes"] if quotes else 0,
        "assets": assets,
        "newest_event_at": newest,
        "newest_fetched_at": quotes["newest_fetched_at"] if quotes else None,
        "freshness_seconds": round((now - newest).total_seconds(), 3) if newest else None,
        "last_run": run_body(last) if last else None,
        "last_success": run_body(success) if success else None,
        "drift": drift_body(*await load_drift(connection, source)),
    }


async def _checkpoints(request: web.Request) -> Mapping[str, object]:
    return await request.app[CHECKPOINTS].get("all", lambda: _read_checkpoints(request))


async def _read_checkpoints(request: web.Request) -> Mapping[str, object]:
    topics, reader = request.app[TOPICS], request.app[LAG]
    try:
        lags = await reader.read(topics.group, [topics.raw[source] for source in SOURCES], request.app[CLOCK].utc())
        members = await reader.members(topics.group)
    except KafkaUnreachableError as error:
        raise unreachable(error) from error
    of_source = {source: [lag for lag in lags if lag.topic == topics.raw[source]] for source in SOURCES}
    return {"members": members, "checkpoints": [_checkpoint_body(request, source, of_source[source]) for source in SOURCES]}


def _checkpoint_body(request: web.Request, source: str, lags: list[PartitionLag]) -> dict[str, Any]:
    cursors, progress = request.app[CURSORS].of(source), request.app[PROGRESS]
    judged = progress.of_all(lags)
    return {
        "source": source,
        "topic": request.app[TOPICS].raw[source],
        "lag_messages": sum(lag.lag_messages for lag in lags),
        "lag_seconds": _longest([lag.lag_seconds for lag in lags]),
        "event_lag_seconds": _longest([lag.event_lag_seconds for lag in lags]),
        "status": judged.status,
        "still_seconds": judged.still_seconds,
        "cursors": [
            {"shard": one.shard, "polled_at": one.polled_at, "run_id": one.run_id, "ticks": one.ticks} for one in cursors
        ],
        "partitions": [_partition_body(lag, progress.of(lag)) for lag in lags],
    }


def _partition_body(lag: PartitionLag, judged: Progress) -> dict[str, Any]:
    return {
        "partition": lag.partition,
        "committed": lag.committed,
        "log_start": lag.log_start,
        "log_end": lag.log_end,
        "lag_messages": lag.lag_messages,
        "lag_seconds": lag.lag_seconds,
        "event_lag_seconds": lag.event_lag_seconds,
        "status": judged.status,
        "still_seconds": judged.still_seconds,
        "lag_grew": judged.lag_grew,
    }


def _longest(seconds: Sequence[float | None]) -> float | None:
    known = [each for each in seconds if each is not None]
    return max(known) if known and len(known) == len(seconds) else None
