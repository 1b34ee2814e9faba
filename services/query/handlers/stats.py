"""GET /stats: runs, sources, checkpoints."""

from datetime import datetime
from typing import Any

from aiohttp import web

from libs.domain.runs import RunStatus
from libs.kafka.errors import KafkaUnreachableError
from libs.kafka.lag import PartitionLag
from libs.postgres.pool import Connection
from libs.postgres.reading.acquiring import reading
from libs.postgres.reading.assets import count_assets, count_assets_by_source
from libs.postgres.reading.quotes import summarise_quotes
from libs.postgres.reading.raw_ticks import count_raw_ticks
from libs.postgres.reading.rows import Row
from libs.postgres.reading.runs import load_last_runs, load_run_with_shards, load_runs
from libs.sources.catalogue import SOURCES
from services.query.endpoints import NoParameters, Parameters
from services.query.following import unreachable
from services.query.keys import CLOCK, CURSORS, LAG, POOL, REPORTS, TOPICS
from services.query.parameters import Limit, Offset, RunId, SourceFilter
from services.query.problems import KafkaUnavailableError, RunNotFoundError
from services.query.rendering import Answer
from services.query.views.runs import run_body, run_detail_body


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
    async with reading(request.app[POOL]) as connection:
        rows, total = await load_runs(
            connection, source=asked.source, status=asked.status, limit=asked.limit, offset=asked.offset
        )
    return Answer({"runs": [run_body(row) for row in rows], "total": total, "limit": asked.limit, "offset": asked.offset})


async def get_run(request: web.Request, asked: RunAsked) -> Answer:
    """Return one run with its shards."""
    async with reading(request.app[POOL]) as connection:
        rows = await load_run_with_shards(connection, asked.run_id)
    if not rows:
        raise RunNotFoundError(f"no run {asked.run_id} is recorded", run_id=asked.run_id)
    return Answer(run_detail_body(rows))


async def list_sources(request: web.Request, _asked: NoParameters) -> Answer:
    """Return what has come of each source."""
    async with reading(request.app[POOL]) as connection:
        return Answer({"sources": await _sources(request, connection)})


async def list_checkpoints(request: web.Request, _asked: NoParameters) -> Answer:
    """Return where the normalizer stands."""
    return Answer({"group": request.app[TOPICS].group, "checkpoints": await _checkpoints(request)})


async def debug(request: web.Request, _asked: NoParameters) -> Answer:
    """Return counts and checkpoints; Kafka's part is null while Kafka is away."""
    unavailable: dict[str, str] = {}
    checkpoints = None
    try:
        checkpoints = await _checkpoints(request)
    except KafkaUnavailableError as error:
        unavailable["kafka"] = error.detail
    async with reading(request.app[POOL]) as connection:
        assets, sources = await count_assets(connection, None), await _sources(request, connection)
    body = {"assets": assets, "sources": sources, "group": request.app[TOPICS].group, "checkpoints": checkpoints}
    return Answer(body | {"unavailable": unavailable})


async def _sources(request: web.Request, connection: Connection) -> object:
    clock = request.app[CLOCK]
    return await request.app[REPORTS].get("sources", lambda: _read_sources(connection, clock.utc()))


async def _read_sources(connection: Connection, now: datetime) -> object:
    quotes, assets = await summarise_quotes(connection), await count_assets_by_source(connection)
    return [await _source_body(connection, source, quotes.get(source), assets.get(source, 0), now) for source in SOURCES]


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
    }


async def _checkpoints(request: web.Request) -> object:
    return await request.app[REPORTS].get("checkpoints", lambda: _read_checkpoints(request))


async def _read_checkpoints(request: web.Request) -> object:
    topics = request.app[TOPICS]
    try:
        lags = await request.app[LAG].read(topics.group, [topics.raw[source] for source in SOURCES], request.app[CLOCK].utc())
    except KafkaUnreachableError as error:
        raise unreachable(error) from error
    return [
        _checkpoint_body(request, source, [lag for lag in lags if lag.topic == request.app[TOPICS].raw[source]])
        for source in SOURCES
    ]


def _checkpoint_body(request: web.Request, source: str, lags: list[PartitionLag]) -> dict[str, Any]:
    seconds = [lag.lag_seconds for lag in lags if lag.lag_seconds is not None]
    cursors = request.app[CURSORS].of(source)
    return {
        "source": source,
        "topic": request.app[TOPICS].raw[source],
        "lag_messages": sum(lag.lag_messages for lag in lags),
        "lag_seconds": max(seconds) if len(seconds) == len(lags) and seconds else None,
        "cursors": [
            {"shard": one.shard, "polled_at": one.polled_at, "run_id": one.run_id, "ticks": one.ticks} for one in cursors
        ],
        "partitions": [
            {
                "partition": lag.partition,
                "committed": lag.committed,
                "log_start": lag.log_start,
                "log_end": lag.log_end,
                "lag_messages": lag.lag_messages,
                "lag_seconds": lag.lag_seconds,
            }
            for lag in lags
        ],
    }
