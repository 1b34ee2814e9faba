"""The application: what it opens, in order, and what it answers."""

import asyncio
from collections.abc import AsyncIterator, Callable, Coroutine, Iterable
from contextlib import AbstractAsyncContextManager, AsyncExitStack
from dataclasses import dataclass
from functools import partial

from aiohttp import web

from libs.alerting.leading import IncidentWatch
from libs.kafka.end_probe import EndProbe
from libs.kafka.lag import LagReader
from libs.kafka.publishing import Publisher
from libs.kafka.tailing import Tail
from libs.postgres.pool import Pool
from libs.postgres.reading.acquiring import readers_of
from libs.process.clock import Clock
from libs.process.version import installed_version
from libs.sources.catalogue import SOURCES, running
from libs.telemetry.meters import Meters
from libs.telemetry.serving import exposing
from libs.telemetry.tracing import UNRECORDED, Tracer
from services.query.access import ACCESS, Access
from services.query.api import ENDPOINTS
from services.query.dependencies import Dependency
from services.query.documentation import documentation_routes
from services.query.following import TAKEN_WITHIN_SECONDS, RunFollower
from services.query.gathering import GatheredAssets
from services.query.gauges import read_gauges
from services.query.handlers.health import look_at_postgres
from services.query.holding_assets import LONGEST_SECONDS, HeldAssets
from services.query.holding_cursors import CursorBoard
from services.query.holding_incidents import IncidentBoard
from services.query.keys import (
    CHECKPOINTS,
    CLOCK,
    CURSORS,
    FOLLOWING,
    GATHERED_ASSETS,
    HELD_ASSETS,
    INCIDENTS,
    KAFKA,
    LAG,
    LAST_SUCCESSES,
    MEASURES,
    POSTGRES,
    PROGRESS,
    PUBLISHER,
    READERS,
    RENDERED_ASSETS,
    REPORTS,
    RUNNING,
    RUNS,
    SERVING,
    STREAM,
    TOPICS,
    TRACER,
    UNSETTLED,
    LastSuccesses,
    Serving,
)
from services.query.live.hub import AssetStream
from services.query.measures import Measures
from services.query.openapi import openapi_document
from services.query.progress import ProgressBoard
from services.query.remembering import Remembered
from services.query.rendered_assets import RenderedAssets
from services.query.requests import LARGEST_BODY, around_request
from services.query.serving_page import page_routes
from services.query.topics import QueryTopics
from services.query.unsettled import UnsettledLetters
from services.query.watching import Lookout

REMEMBERED_SECONDS = 1.0
"""How old a report may be: it counts every row."""

STREAM_CLIENTS = 1_000

CANCEL_AGAIN_SECONDS = 0.5


@dataclass(frozen=True, slots=True)
class Openers:
    """How to open what the service depends on; all of them connect on first use, so it starts while they are away."""

    pool: Callable[[], AbstractAsyncContextManager[Pool]]
    publisher: Callable[[], AbstractAsyncContextManager[Publisher]]
    lag: Callable[[], AbstractAsyncContextManager[LagReader]]
    run_events: Callable[[], AbstractAsyncContextManager[Tail]]
    cursors: Callable[[], AbstractAsyncContextManager[Tail]]
    incidents: Callable[[], AbstractAsyncContextManager[Tail]]
    assets: Callable[[], AbstractAsyncContextManager[Tail]]
    ends: Callable[[], AbstractAsyncContextManager[EndProbe]]
    watch: Callable[[Lookout], AbstractAsyncContextManager[IncidentWatch]] | None = None
    """Without it this process watches for no incidents; it shows those of others all the same."""


def create_app(
    openers: Openers,
    *,
    topics: QueryTopics,
    access: Access,
    clock: Clock,
    sandbox: bool,
    stalled_seconds: float,
    taken_within_seconds: float = TAKEN_WITHIN_SECONDS,
    oldest_page_seconds: float = LONGEST_SECONDS,
    stream_clients: int = STREAM_CLIENTS,
    tracer: Tracer = UNRECORDED,
    sources: tuple[str, ...] = running(()),
) -> web.Application:
    """Return the application; it opens everything when it starts and closes it, in reverse, when it stops."""
    app, version = web.Application(middlewares=[around_request], client_max_size=LARGEST_BODY), installed_version()
    meters = Meters("query", version)
    app[ACCESS] = access
    app[CLOCK] = clock
    app[TOPICS] = topics
    app[RUNNING] = sources
    app[SERVING] = Serving(version, sandbox, clock.utc(), clock.monotonic())
    app[REPORTS] = Remembered(REMEMBERED_SECONDS, clock)
    app[CHECKPOINTS] = Remembered(REMEMBERED_SECONDS, clock)
    app[LAST_SUCCESSES] = LastSuccesses(dict.fromkeys(sources))
    app[TRACER] = tracer
    app[MEASURES] = Measures(meters)
    app.cleanup_ctx.append(_opening(openers, taken_within_seconds, oldest_page_seconds, stalled_seconds, stream_clients))
    app.cleanup_ctx.append(_reading_gauges(meters))
    app.on_shutdown.append(_release_waiting_requests)
    app.add_routes([endpoint.route() for endpoint in ENDPOINTS])
    app.router.add_get("/metrics", exposing(meters))
    app.add_routes(documentation_routes(openapi_document(ENDPOINTS, version)))
    app.add_routes(page_routes())
    return app


def _opening(
    openers: Openers, taken_within_seconds: float, oldest_page_seconds: float, stalled_seconds: float, stream_clients: int
) -> Callable[[web.Application], AsyncIterator[None]]:
    async def opened(app: web.Application) -> AsyncIterator[None]:
        async with (
            openers.pool() as pool,
            openers.publisher() as publisher,
            openers.lag() as lag,
            openers.run_events() as run_events,
            openers.cursors() as cursors,
            openers.incidents() as incidents,
            openers.assets() as assets,
            openers.ends() as ends,
        ):
            readers = readers_of(pool)
            app[READERS], app[PUBLISHER], app[LAG] = readers, publisher, lag
            app[GATHERED_ASSETS] = GatheredAssets(readers)
            app[HELD_ASSETS] = HeldAssets(readers, app[CLOCK], oldest_page_seconds)
            app[RENDERED_ASSETS] = RenderedAssets(readers)
            app[RUNS], app[CURSORS] = RunFollower(run_events, taken_within_seconds=taken_within_seconds), CursorBoard(cursors)
            app[POSTGRES] = Dependency("postgres", partial(look_at_postgres, readers, app[LAST_SUCCESSES]), app[CLOCK])
            app[KAFKA] = Dependency("kafka", lag.ping, app[CLOCK])
            raw = [app[TOPICS].raw[source] for source in SOURCES]
            app[PROGRESS] = ProgressBoard(lag, app[TOPICS].group, raw, stalled_seconds, app[CLOCK])
            app[UNSETTLED] = UnsettledLetters(readers, app[CLOCK])
            app[INCIDENTS] = IncidentBoard(incidents)
            app[STREAM] = AssetStream(assets, ends, app[CLOCK], stream_clients)
            lookout = Lookout(app[POSTGRES], app[KAFKA], readers, app[PROGRESS], lag, app[RUNNING], app[CLOCK])
            watching = (app[POSTGRES].watch(), app[KAFKA].watch(), app[PROGRESS].watch(), app[UNSETTLED].watch())
            followed = (app[RUNS].follow(), app[CURSORS].follow(), app[INCIDENTS].follow())
            streamed = (app[STREAM].follow(), app[STREAM].pace())
            begun = (_and_then_wait(app[HELD_ASSETS].look_first()),)
            async with AsyncExitStack() as stack:
                led = () if openers.watch is None else ((await stack.enter_async_context(openers.watch(lookout))).run(),)
                following = tuple([asyncio.create_task(work) for work in (*followed, *watching, *streamed, *begun, *led)])
                app[FOLLOWING] = following
                yield
                await _end(following)

    return opened


def _reading_gauges(meters: Meters) -> Callable[[web.Application], AsyncIterator[None]]:
    async def reading(app: web.Application) -> AsyncIterator[None]:
        meters.read_by(partial(read_gauges, app))
        yield

    return reading


async def _end(tasks: Iterable["asyncio.Task[None]"]) -> None:
    """Cancel until they have ended: wait_for of Python 3.11 swallows a cancellation that meets the end of what it waits for."""
    pending = set(tasks)
    while pending:
        for task in pending:
            task.cancel()
        _, pending = await asyncio.wait(pending, timeout=CANCEL_AGAIN_SECONDS)


async def until_a_follower_fails(app: web.Application) -> None:
    """Wait for ever; a follower that ends has met a bug, which is raised."""
    following = app[FOLLOWING]
    ended, _ = await asyncio.wait(following, return_when=asyncio.FIRST_COMPLETED)
    for task in ended:
        task.result()


async def _and_then_wait(work: Coroutine[None, None, None]) -> None:
    """Do what is done once, as a follower: those never return."""
    await work
    await asyncio.Event().wait()


async def _release_waiting_requests(app: web.Application) -> None:
    app[RUNS].release()
    app[STREAM].release()
