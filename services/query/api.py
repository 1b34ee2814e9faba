"""Every endpoint, declared once: routes, checks and the OpenAPI document are made from this list."""

from http import HTTPStatus
from typing import Any

from services.query.endpoints import AnyParameters, Endpoint, NoParameters
from services.query.handlers import (
    assets,
    dead_letters,
    etl,
    gaps,
    health,
    history,
    incidents,
    raw_ticks,
    socket,
    sparklines,
    stats,
    stream,
)
from services.query.problems import (
    AssetNotFoundError,
    BusyError,
    ForbiddenError,
    InvalidCursorError,
    KafkaUnavailableError,
    NotMigratedError,
    NotTakenError,
    PostgresUnavailableError,
    ProviderFailedError,
    RecordNotFoundError,
    RunNotFoundError,
    SourceNotRunningError,
    StreamFullError,
    StreamNotReadyError,
    UnauthorizedError,
    UnknownSourceError,
    UpgradeRequiredError,
)
from services.query.views.assets import AssetDetailView, AssetPageView, CountView, RawTickDetailView, RawTickPageView
from services.query.views.dead_letters import DeadLettersView
from services.query.views.gaps import GapPageView
from services.query.views.history import OTHER_MEDIA, HistoryView
from services.query.views.incidents import IncidentsView
from services.query.views.runs import AwaitedRunView, RunAllView, RunDetailView, RunPageView, RunRequestedView
from services.query.views.sparklines import SparklinesView
from services.query.views.state import CheckpointsView, DebugView, HealthView, ReadyView, SourcesView
from services.query.views.stream import EventStreamView, SocketView

OK, ACCEPTED = HTTPStatus.OK, HTTPStatus.ACCEPTED
_POSTGRES = (PostgresUnavailableError, NotMigratedError)
_POST = (UnauthorizedError, ForbiddenError, KafkaUnavailableError)
_STREAM = (StreamFullError, StreamNotReadyError, KafkaUnavailableError)
_WAITING = (*_POST, BusyError, ProviderFailedError, NotTakenError)

DATA: tuple[Endpoint[Any], ...] = (
    Endpoint(
        method="GET",
        path="/data",
        name="list_assets",
        group="data",
        summary="Canonical assets, by market-cap rank unless sorted otherwise",
        description="To walk everything, follow `next_cursor` until it is null: while the sorted value of an asset does not "
        "change, it is neither missed nor repeated. `offset` shifts when rows come and go.",
        parameters=assets.AssetsAsked,
        handle=assets.list_assets,
        answers={OK: AssetPageView},
        problems=(InvalidCursorError, BusyError, *_POSTGRES),
        data=True,
    ),
    Endpoint(
        method="GET",
        path="/data/count",
        name="count_assets",
        group="data",
        summary="How many assets there are",
        parameters=assets.CountAsked,
        handle=assets.count,
        answers={OK: CountView},
        problems=_POSTGRES,
        data=True,
    ),
    Endpoint(
        method="GET",
        path="/data/sparklines",
        name="get_sparklines",
        group="data",
        summary="The last prices of some assets, interval by interval, for a small line each",
        description="The closes of their candles, without the rest: one question for a page of assets. For more see "
        "`/data/{asset_uid}/history`.",
        parameters=sparklines.SparklinesAsked,
        handle=sparklines.get_sparklines,
        answers={OK: SparklinesView},
        problems=_POSTGRES,
        data=True,
    ),
    Endpoint(
        method="GET",
        path="/data/raw/{source}",
        name="list_raw_ticks",
        group="data",
        summary="Raw rows of a source as it sent them, newest first",
        parameters=raw_ticks.RawTicksAsked,
        handle=raw_ticks.list_raw_ticks,
        answers={OK: RawTickPageView},
        problems=(InvalidCursorError, UnknownSourceError, *_POSTGRES),
        data=True,
    ),
    Endpoint(
        method="GET",
        path="/data/raw/{source}/{record_id}",
        name="get_raw_tick",
        group="data",
        summary="One raw row, with the provider's digits",
        parameters=raw_ticks.RawTickAsked,
        handle=raw_ticks.get_raw_tick,
        answers={OK: RawTickDetailView},
        problems=(UnknownSourceError, RecordNotFoundError, *_POSTGRES),
        data=True,
    ),
    Endpoint(
        method="GET",
        path="/data/{asset_uid:.+}/history",
        name="get_history",
        group="data",
        summary="An asset's past: every tick, or candles, with the gaps between them",
        description="What the listings that agree with the asset now have said, oldest first: a candle opens with the earliest "
        "quote and closes with the latest, by event time. `from` and `to` are half-open, and are about when a candle begins. "
        "A span without a tick has no candle and is named in `gaps`; nothing is filled in. With `Accept: text/csv` or "
        "`application/x-ndjson` the rows come alone, the next page in `Link`, the gaps in `X-Gaps`.",
        parameters=history.HistoryAsked,
        handle=history.get_history,
        answers={OK: HistoryView},
        problems=(AssetNotFoundError, InvalidCursorError, *_POSTGRES),
        data=True,
        other_media=OTHER_MEDIA,
    ),
    Endpoint(
        method="GET",
        path="/data/stream",
        name="stream_assets",
        group="data",
        summary="Changes of assets as they happen, as server-sent events",
        description="`hello` comes first, with `position` and `sandbox`. `asset`: an asset in its newest version, as "
        "`assets.normalized` has it; `removed`: an `asset_uid` that is gone, or no longer fits; `conflated`: how many changes "
        "(`skipped`) were left out because you were too slow, the newest of each asset never is; `reset`: forget what you hold, "
        "all there is follows. Come again with the last id in `Last-Event-ID`, as browsers do, and every asset that has changed "
        "since is sent. docs/stream.md says more.",
        parameters=stream.StreamAsked,
        handle=stream.stream_assets,
        answers={OK: EventStreamView},
        problems=_STREAM,
        media="text/event-stream",
    ),
    Endpoint(
        method="GET",
        path="/data/ws",
        name="follow_assets",
        group="data",
        summary="The same events through a WebSocket",
        description='Texts such as `{"event": "asset", "id": "…", "data": {…}}`. Send `{"subscribe": {"uid": ["btc"], "source": '
        '"csv", "top": 100, "snapshot": true}}`, all of it optional, to change what you want; what is wrong with it comes back '
        "as `error`. Pages of any origin may connect: reading needs no token.",
        parameters=stream.StreamAsked,
        handle=socket.follow_assets,
        answers={HTTPStatus.SWITCHING_PROTOCOLS: SocketView},
        problems=(UpgradeRequiredError, *_STREAM),
    ),
    Endpoint(
        method="GET",
        path="/data/{asset_uid:.+}",
        name="get_asset",
        group="data",
        summary="One asset: the listing taken, those that agree, those that lost, the price spread",
        description="Any symbol works, URL-encoded: `%24` for `$`, `%2F` for `/`. `count`, `sparklines`, `stream`, `ws`, `.` and "
        "`..` are paths of their own: an asset of such a symbol is read with `/data?symbol=count`.",
        parameters=assets.AssetAsked,
        handle=assets.get_asset,
        answers={OK: AssetDetailView},
        problems=(AssetNotFoundError, *_POSTGRES),
        data=True,
    ),
)

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
        summary="Whether Postgres is reachable and migrated",
        parameters=AnyParameters,
        handle=health.ready,
        answers={OK: ReadyView},
        problems=_POSTGRES,
    ),
)

ENDPOINTS: tuple[Endpoint[Any], ...] = (*DATA, *ETL, *STATS, *STATE)
