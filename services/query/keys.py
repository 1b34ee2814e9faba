"""What the application holds, by typed key."""

import asyncio
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime

from aiohttp import web

from libs.contracts.trace_context import TraceContext
from libs.kafka.lag import LagReader
from libs.kafka.publishing import Publisher
from libs.postgres.reading.acquiring import Readers
from libs.process.clock import Clock
from libs.telemetry.tracing import Tracer
from services.query.dependencies import Dependency
from services.query.following import RunFollower
from services.query.gathering import GatheredAssets
from services.query.holding_assets import HeldAssets
from services.query.holding_cursors import CursorBoard
from services.query.holding_incidents import IncidentBoard
from services.query.live.hub import AssetStream
from services.query.measures import Measures
from services.query.progress import ProgressBoard
from services.query.remembering import Remembered
from services.query.rendered_assets import RenderedAssets
from services.query.topics import QueryTopics
from services.query.unsettled import UnsettledLetters


@dataclass(frozen=True, slots=True)
class Serving:
    """What the service is and since when."""

    version: str
    sandbox: bool
    started_at: datetime
    started: float


@dataclass(slots=True)
class LastSuccesses:
    """By source, as last known, for while Postgres is away."""

    by_source: dict[str, datetime | None]


CLOCK = web.AppKey("clock", Clock)
SERVING = web.AppKey("serving", Serving)
READERS = web.AppKey("readers", Readers)
PUBLISHER = web.AppKey("publisher", Publisher)
LAG = web.AppKey("lag", LagReader)
TOPICS = web.AppKey("topics", QueryTopics)
RUNNING = web.AppKey("running", tuple[str, ...])
"""The sources that run here, in order of priority; of the others there are only data."""
RUNS = web.AppKey("runs", RunFollower)
CURSORS = web.AppKey("cursors", CursorBoard)
INCIDENTS = web.AppKey("incidents", IncidentBoard)
STREAM = web.AppKey("stream", AssetStream)
POSTGRES = web.AppKey("postgres", Dependency)
KAFKA = web.AppKey("kafka", Dependency)
PROGRESS = web.AppKey("progress", ProgressBoard)
HELD_ASSETS = web.AppKey("held_assets", HeldAssets)
GATHERED_ASSETS = web.AppKey("gathered_assets", GatheredAssets)
RENDERED_ASSETS = web.AppKey("rendered_assets", RenderedAssets)
REPORTS = web.AppKey("reports", Remembered[object])
CHECKPOINTS = web.AppKey("checkpoints", Remembered[Mapping[str, object]])
FOLLOWING = web.AppKey("following", tuple[asyncio.Task[None], ...])
TRACES = web.RequestKey("traces", Sequence[TraceContext])
"""Of a request: the spans of the runs that it has asked for."""
LAST_SUCCESSES = web.AppKey("last_successes", LastSuccesses)
TRACER = web.AppKey("tracer", Tracer)
MEASURES = web.AppKey("measures", Measures)
UNSETTLED = web.AppKey("unsettled", UnsettledLetters)
