"""What the API's gauges read: off what it follows anyway, so that a scrape asks nobody and an outage delays none."""

from collections.abc import Iterable

from aiohttp import web

from libs.kafka.lag import PartitionLag
from libs.telemetry import metrics
from libs.telemetry.meters import Reading
from services.query.keys import CLOCK, KAFKA, LAST_SUCCESSES, POSTGRES, PROGRESS, STREAM, UNSETTLED


def read_gauges(app: web.Application) -> Iterable[Reading]:
    """Read everything as last seen; a `libs.telemetry.meters.Look` of an application that has started."""
    yield from _dependencies(app)
    progress = app[PROGRESS]
    for lag in progress.lags:
        labels = lag.topic, str(lag.partition)
        yield from _lag(lag, labels)
        yield Reading(metrics.CONSUMER_STILL_SECONDS, labels, progress.of(lag).still_seconds)
    for source, at in app[LAST_SUCCESSES].by_source.items():
        if at is not None:
            yield Reading(metrics.LAST_SUCCESS, (source,), at.timestamp())
    for transport, clients in app[STREAM].clients.items():
        yield Reading(metrics.STREAM_CLIENTS, (transport,), clients)
    unsettled = app[UNSETTLED].count()
    if unsettled is not None:
        yield Reading(metrics.DEAD_LETTERS_UNSETTLED, (), unsettled)


def _dependencies(app: web.Application) -> Iterable[Reading]:
    now = app[CLOCK].utc()
    for dependency in (app[KAFKA], app[POSTGRES]):
        seen = dependency.last_seen
        if seen is not None:
            away = 0.0 if seen.up else (now - seen.since).total_seconds()
            yield Reading(metrics.DEPENDENCY_UP, (dependency.name,), seen.up)
            yield Reading(metrics.OUTAGE_SECONDS, (dependency.name,), max(0.0, away))


def _lag(lag: PartitionLag, labels: tuple[str, str]) -> Iterable[Reading]:
    yield Reading(metrics.CONSUMER_LAG_MESSAGES, labels, lag.lag_messages)
    if lag.lag_seconds is not None:
        yield Reading(metrics.CONSUMER_WAIT_SECONDS, labels, lag.lag_seconds)
    if lag.event_lag_seconds is not None:
        yield Reading(metrics.CONSUMER_LAG_SECONDS, labels, lag.event_lag_seconds)
