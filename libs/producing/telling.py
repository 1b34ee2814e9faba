"""What a producer tells of itself, made in one place: its health, what it counts, and what its gauges read."""

from collections.abc import AsyncIterator, Iterable
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from dataclasses import dataclass, replace
from datetime import timedelta

from libs.process.clock import Clock
from libs.process.outages import OutageBoard
from libs.process.version import installed_version
from libs.producing.cursors import CursorView
from libs.producing.health import KAFKA, ProducerHealth
from libs.producing.measures import Measures
from libs.producing.quota import Budget, left_of
from libs.telemetry import metrics
from libs.telemetry.labels import STATUS
from libs.telemetry.meters import Meters, Reading
from libs.telemetry.outage_gauges import outage_readings
from libs.telemetry.serving import HealthAddress, serving_health
from libs.telemetry.tracing import UNRECORDED, Tracer, opened_tracer


@dataclass(frozen=True, slots=True)
class Audience:
    """Where a process tells of itself; None: nowhere. `spans_to` is an OpenTelemetry collector."""

    address: HealthAddress | None
    spans_to: str | None


@dataclass(frozen=True, slots=True)
class Telling:
    """One process's."""

    meters: Meters
    measures: Measures
    health: ProducerHealth
    tracer: Tracer = UNRECORDED

    def serving(self, address: HealthAddress | None) -> AbstractAsyncContextManager[None]:
        """Serve it over HTTP while a block runs; without an address, nothing."""
        return serving_health(self.health.told, self.meters, address)


def telling_of(service: str, source: str, clock: Clock) -> Telling:
    """Make it. `service` is who this is in logs and metrics."""
    meters = Meters(service, installed_version())
    return Telling(meters, Measures(meters, source, clock), ProducerHealth(clock, OutageBoard(clock)))


@asynccontextmanager
async def opened_telling(service: str, source: str, clock: Clock, audience: Audience) -> AsyncIterator[Telling]:
    """Tell of the process, over HTTP and to a collector, while the block runs."""
    async with opened_tracer(service, installed_version(), audience.spans_to) as tracer:
        telling = replace(telling_of(service, source, clock), tracer=tracer)
        async with telling.serving(audience.address):
            yield telling


@dataclass(frozen=True, slots=True)
class Gauges:
    """A `libs.telemetry.meters.Look`, off what the replica knows."""

    health: ProducerHealth
    view: CursorView
    source: str
    budget: Budget
    interval: timedelta | None

    def __call__(self) -> Iterable[Reading]:
        """Read everything now."""
        status = self.health.look()
        for each in STATUS.values:
            yield Reading(metrics.HEALTH_STATUS, (each,), each == status)
        yield from outage_readings(self.health.board, [KAFKA])
        if self.interval is not None:
            yield Reading(metrics.SOURCE_INTERVAL_SECONDS, (self.source,), self.interval.total_seconds())
        for window, left in left_of(self.view.usages.values(), self.budget, self.health.clock.utc()).items():
            yield Reading(metrics.QUOTA_REMAINING, (self.source, window), left)
