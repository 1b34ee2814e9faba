"""Every endpoint, declared once: routes, checks and the OpenAPI document are made from this list."""

from http import HTTPStatus
from typing import Any

from services.query.data_api import DATA
from services.query.endpoints import AnyParameters, Endpoint, NoParameters
from services.query.handlers import (
    dead_letters,
    etl,
    gaps,
    health,
    incidents,
    stats,
)
from services.query.problems import (
    AssetsNotReadyError,
    BusyError,
    ForbiddenError,
    InvalidCursorError,
    KafkaUnavailableError,
    NotMigratedError,
    NotTakenError,
    PostgresUnavailableError,
    ProviderFailedError,
    RunNotFoundError,
    SourceNotRunningError,
    UnauthorizedError,
    UnknownSourceError,
)
from services.query.views.dead_letters import DeadLettersView
from services.query.views.gaps import GapPageView
from services.query.views.incidents import IncidentsView
from services.query.views.runs import AwaitedRunView, RunAllView, RunDetailView, RunPageView, RunRequestedView
from services.query.views.state import CheckpointsView, DebugView, HealthView, ReadyView, SourcesView

OK, ACCEPTED = HTTPStatus.OK, HTTPStatus.ACCEPTED
_POSTGRES = (PostgresUnavailableError, NotMigratedError)
_POST = (UnauthorizedError, ForbiddenError, KafkaUnavailableError)
_WAITING = (*_POST, BusyError, ProviderFailedError, NotTakenError)

ETL: tuple[Endpoint[Any], ...] = (
    Endpoint(
        method="POST",
        path="/etl/run/{source}",
        name="run_source",
        group="etl",
        summary="Run a source now and wait for the end",
        description="200: finished (or skipped, with the reason); 202: still going after `timeout`, see Location; "
        "409: an optional source that does not run here; 502: the provider failed; 504: no producer took the command. "
        "The run itself happens in the producer.",
        parameters=etl.RunAsked,
        handle=etl.run_source,
        answers={OK: AwaitedRunView, ACCEPTED: AwaitedRunView},
        problems=(UnknownSourceError, SourceNotRunningError, *_WAITING),
    ),
    Endpoint(
        method="POST",
        path="/etl/run-all",
        name="run_all",
        group="etl",
        summary="Run every source that runs here, one after the other, and report each",
        description="`timeout` is for all of them together; none keeps the next one waiting for longer than its share of it. "
        "What a run that still goes on waits for is in its `waiting_for`.",
        parameters=etl.RunAllAsked,
        handle=etl.run_all,
        answers={OK: RunAllView, ACCEPTED: RunAllView},
        problems=_WAITING,
    ),
    Endpoint(
        method="POST",
        path="/etl/run-background/{source}",
        name="run_in_background",
        group="etl",
        summary="Ask for a run and return its id at once",
        parameters=etl.BackgroundRunAsked,
        handle=etl.run_in_background,
        answers={ACCEPTED: RunRequestedView},
        problems=(UnknownSourceError, SourceNotRunningError, *_POST),
    ),
)

STATS: tuple[Endpoint[Any], ...] = (
    Endpoint(
        method="GET",
        path="/stats",
        name="list_runs",
        group="stats",
        summary="Recent runs: status, trigger, counts, durations",
        parameters=stats.RunsAsked,
        handle=stats.list_runs,
        answers={OK: RunPageView},
        problems=_POSTGRES,
    ),
    Endpoint(
        method="GET",
        path="/stats/runs/{run_id}",
        name="get_run",
        group="stats",
        summary="One run with what each of its shards reported",
        parameters=stats.RunAsked,
        handle=stats.get_run,
        answers={OK: RunDetailView},
        problems=(RunNotFoundError, *_POSTGRES),
    ),
    Endpoint(
        method="GET",
        path="/stats/sources",
        name="list_sources",
        group="stats",
        summary="Per source: raw and normalised counts, last run, last success, freshness",
        parameters=NoParameters,
        handle=stats.list_sources,
        answers={OK: SourcesView},
        problems=_POSTGRES,
    ),
    Endpoint(
        method="GET",
        path="/stats/checkpoints",
        name="list_checkpoints",
        group="stats",
        summary="Per source: the producer's cursors, and the normalizer's offsets and lag in each partition",
        parameters=NoParameters,
        handle=stats.list_checkpoints,
        answers={OK: CheckpointsView},
        problems=(KafkaUnavailableError,),
    ),
    Endpoint(
        method="GET",
        path="/stats/gaps",
        name="list_gaps",
        group="stats",
        summary="What is known to be missing: runs missed, offsets lost, shards that failed",
        description="Newest first. What is not listed here has not been missed, as far as anybody could tell.",
        parameters=gaps.GapsAsked,
        handle=gaps.list_gaps,
        answers={OK: GapPageView},
        problems=(InvalidCursorError, *_POSTGRES),
    ),
    Endpoint(
        method="GET",
        path="/stats/dead-letters",
        name="count_dead_letters",
        group="stats",
        summary="What could not be applied, by source and error class",
        description="As far as the normalizer has read their topic. `kasparro dead-letters` shows them and sends them back.",
        parameters=dead_letters.LettersAsked,
        handle=dead_letters.count_dead_letters,
        answers={OK: DeadLettersView},
        problems=_POSTGRES,
    ),
    Endpoint(
        method="GET",
        path="/stats/incidents",
        name="list_incidents",
        group="stats",
        summary="What is wrong now, and how each thing that can be wrong was last",
        description="As `etl.incidents` tells it; as last known while Kafka is away.",
        parameters=NoParameters,
        handle=incidents.list_incidents,
        answers={OK: IncidentsView},
    ),
    Endpoint(
        method="GET",
        path="/stats/debug",
        name="debug",
        group="stats",
        summary="Counts and checkpoints together",
        parameters=NoParameters,
        handle=stats.debug,
        answers={OK: DebugView},
        problems=_POSTGRES,
    ),
)

STATE: tuple[Endpoint[Any], ...] = (
    Endpoint(
        method="GET",
        path="/health",
        name="health",
        group="state",
        summary="That the API serves, and the state of what it needs",
        description="200 while the process serves, whatever is away. The rest is as last seen, a few seconds ago.",
        parameters=AnyParameters,
        handle=health.health,
        answers={OK: HealthView},
    ),
    Endpoint(
        method="GET",
        path="/ready",
        name="ready",
        group="state",
        summary="Whether every answer can be given",
        description="Postgres is reachable and migrated, and this process has read the assets from it since its start.",
        parameters=AnyParameters,
        handle=health.ready,
        answers={OK: ReadyView},
        problems=(*_POSTGRES, AssetsNotReadyError),
    ),
)

ENDPOINTS: tuple[Endpoint[Any], ...] = (*DATA, *ETL, *STATS, *STATE)
