"""What a producer counts and times: once a request, a shard or a run, never once a row."""

from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from http import HTTPStatus

from libs.contracts.run_events import ShardCounts
from libs.domain.rejections import Reason
from libs.domain.runs import RunStatus, Trigger
from libs.process.clock import Clock
from libs.telemetry import labels, metrics
from libs.telemetry.meters import Meters


@dataclass(slots=True)
class Exchange:
    """A request and its answer. `status` is as the metric has it."""

    status: str = labels.UNREACHABLE

    def answered(self, status: int) -> None:
        """Note the status of the answer's head."""
        self.status = str(HTTPStatus(status).value) if str(status) in labels.STATUSES else labels.OTHER_STATUS


class Measures:
    """The instruments of one source's producer. Series that an alert takes the rate of are there, at 0, from the start."""

    def __init__(self, meters: Meters, source: str, clock: Clock) -> None:
        self._source = source
        self._clock = clock
        self._shards = meters.counter(metrics.SHARDS)
        self._stages = meters.histogram(metrics.POLL_STAGE_SECONDS)
        self._listings = meters.counter(metrics.LISTINGS)
        self._letters = meters.counter(metrics.DEAD_LETTERS)
        self._runs = meters.counter(metrics.RUNS)
        self._requests = meters.counter(metrics.PROVIDER_REQUESTS)
        self._request_seconds = meters.histogram(metrics.PROVIDER_REQUEST_SECONDS)
        for outcome in labels.SHARD_OUTCOME.values:
            self._shards.labels(source, outcome)
        for outcome in labels.LISTING_OUTCOME.values:
            self._listings.labels(source, outcome)
        for reason in Reason:
            self._letters.labels(source, reason)
        for trigger in Trigger:
            self._runs.labels(source, trigger, RunStatus.SKIPPED)

    def shard_published(self, counts: ShardCounts, rejected: Sequence[Reason]) -> None:
        """Count a shard's answer."""
        self._shards.labels(self._source, "published").inc()
        self._listings.labels(self._source, "unchanged").inc(counts.unchanged)
        self._listings.labels(self._source, "published").inc(counts.published)
        self._listings.labels(self._source, "dead_lettered").inc(counts.dead_lettered)
        self.set_aside(rejected)

    def shard_failed(self) -> None:
        """Count a shard that could not be had or published."""
        self._shards.labels(self._source, "failed").inc()

    def run_skipped(self, trigger: Trigger) -> None:
        """Count a run for which there was nothing to do."""
        self._runs.labels(self._source, trigger, RunStatus.SKIPPED).inc()

    def set_aside(self, reasons: Iterable[Reason]) -> None:
        """Count dead letters."""
        for reason in reasons:
            self._letters.labels(self._source, reason).inc()

    @contextmanager
    def stage(self, name: str) -> Iterator[None]:
        """Time a stage of a shard, however it ends."""
        begun = self._clock.monotonic()
        try:
            yield
        finally:
            self._stages.labels(self._source, name).observe(self._clock.monotonic() - begun)

    @contextmanager
    def exchange(self) -> Iterator[Exchange]:
        """Time a request to the provider, and count it by what the block notes."""
        exchange, begun = Exchange(), self._clock.monotonic()
        try:
            yield exchange
        except TimeoutError:
            exchange.status = labels.TIMED_OUT
            raise
        finally:
            self._requests.labels(self._source, exchange.status).inc()
            self._request_seconds.labels(self._source).observe(self._clock.monotonic() - begun)
