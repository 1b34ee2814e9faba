"""What the worker's gauges read: off its health, its board of outages and the chunks at hand, so that a scrape asks nobody."""

from collections.abc import Iterable
from dataclasses import dataclass

from libs.streaming.progress import PartitionProgress
from libs.telemetry import metrics
from libs.telemetry.labels import STATUS
from libs.telemetry.meters import Reading
from libs.telemetry.outage_gauges import outage_readings
from services.normalizer.health import DEPENDENCIES, Health
from services.normalizer.unapplied import Unapplied


@dataclass(frozen=True, slots=True)
class Gauges:
    """A `libs.telemetry.meters.Look`."""

    health: Health
    unapplied: Unapplied

    def __call__(self) -> Iterable[Reading]:
        """Read everything now."""
        told = self.health.told()
        for status in STATUS.values:
            yield Reading(metrics.HEALTH_STATUS, (status,), status == told.body["status"])
        yield from outage_readings(self.health.board, DEPENDENCIES)
        held = self.health.membership()
        for one in held.partitions if held is not None else ():
            yield from self._of_partition(one)

    def _of_partition(self, one: PartitionProgress) -> Iterable[Reading]:
        labels = one.topic, str(one.partition)
        if one.unapplied is None:
            return
        yield Reading(metrics.CONSUMER_LAG_MESSAGES, labels, one.unapplied)
        yield Reading(metrics.CONSUMER_STILL_SECONDS, labels, self.health.still_seconds(one))
        now = self.health.clock.utc().timestamp()
        oldest = self.unapplied.oldest((one.topic, one.partition), one.applied)
        if not one.unapplied:
            yield Reading(metrics.CONSUMER_LAG_SECONDS, labels, 0)
            yield Reading(metrics.CONSUMER_WAIT_SECONDS, labels, 0)
        elif oldest is not None:
            yield Reading(metrics.CONSUMER_WAIT_SECONDS, labels, max(0.0, now - oldest.logged_at_ms / 1_000))
            if oldest.event_time is not None:
                yield Reading(metrics.CONSUMER_LAG_SECONDS, labels, max(0.0, now - oldest.event_time.timestamp()))
