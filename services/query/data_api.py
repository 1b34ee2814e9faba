"""The endpoints under /data, declared once; services.query.api puts them beside the others."""

from http import HTTPStatus
from typing import Any

from services.query.endpoints import Endpoint
from services.query.handlers import (
    assets,
    history,
    raw_ticks,
    socket,
    sparklines,
    stream,
)
from services.query.problems import (
    AssetNotFoundError,
    InvalidCursorError,
    KafkaUnavailableError,
    NotMigratedError,
    PostgresUnavailableError,
    RecordNotFoundError,
    StreamFullError,
    StreamNotReadyError,
    UnknownSourceError,
    UpgradeRequiredError,
)
from services.query.views.assets import AssetDetailView, AssetPageView, CountView, RawTickDetailView, RawTickPageView
from services.query.views.history import OTHER_MEDIA, HistoryView
from services.query.views.sparklines import SparklinesView
from services.query.views.stream import EventStreamView, SocketView

OK = HTTPStatus.OK
_POSTGRES = (PostgresUnavailableError, NotMigratedError)
_STREAM = (StreamFullError, StreamNotReadyError, KafkaUnavailableError)

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
        problems=(InvalidCursorError, *_POSTGRES),
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
