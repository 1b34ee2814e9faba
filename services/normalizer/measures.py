"""What the normalizer counts and times: once a chunk, a transaction or a run, never once a record."""

from collections.abc import Sequence

from libs.contracts.run_events import RunFailed, RunSucceeded
from libs.contracts.topics import SOURCE_TOPICS
from libs.domain.rejections import Reason
from libs.domain.runs import RunStatus, Trigger
from libs.postgres.writing.runs import PublishedRun
from libs.postgres.writing.ticks import Counted
from libs.telemetry import labels, metrics
from libs.telemetry.meters import Meters
from services.normalizer.reading import Rejected


class Measures:
    """The instruments of one worker. Series that an alert takes the rate of are there, at 0, from the start."""

    def __init__(self, meters: Meters) -> None:
        self._ticks = meters.counter(metrics.TICKS)
        self._records = meters.histogram(metrics.CHUNK_RECORDS)
        self._bytes = meters.histogram(metrics.CHUNK_BYTES)
        self._stages = meters.histogram(metrics.CHUNK_STAGE_SECONDS)
        self._published = meters.counter(metrics.ASSETS_PUBLISHED)
        self._letters = meters.counter(metrics.DEAD_LETTERS)
        self._runs = meters.counter(metrics.RUNS)
        self._run_seconds = meters.histogram(metrics.RUN_SECONDS)
        for source in SOURCE_TOPICS:
            self.applied(source, Counted(0, 0, 0), published=0)
            for reason in Reason:
                self._letters.labels(source, reason)
            for trigger in Trigger:
                self._runs.labels(source, trigger, RunStatus.SUCCEEDED)
                self._runs.labels(source, trigger, RunStatus.FAILED)

    def stage(self, name: str, seconds: float) -> None:
        """Time a stage of a chunk, or of chunks that went together."""
        self._stages.labels(name).observe(seconds)

    def stored(self, records: int, size: int) -> None:
        """Note what went into one transaction."""
        self._records.observe(records)
        self._bytes.observe(size)

    def applied(self, source: str, counted: Counted, *, published: int) -> None:
        """Count what came of chunks of a source."""
        self._ticks.labels(source, "stored").inc(counted.stored)
        self._ticks.labels(source, "duplicate").inc(counted.duplicate)
        self._ticks.labels(source, "dead_lettered").inc(counted.dead_lettered)
        self._published.inc(published)

    def set_aside(self, source: str, rejected: Sequence[Rejected]) -> None:
        """Count dead letters."""
        for one in rejected:
            self._letters.labels(source or labels.NO_SOURCE, one.rejection.reason).inc()

    def run_ended(self, run: PublishedRun, end: RunSucceeded | RunFailed) -> None:
        """Count the end of a run. One whose request nobody has told of has no beginning to be timed from."""
        outcome = RunStatus.SUCCEEDED if isinstance(end, RunSucceeded) else RunStatus.FAILED
        if run.trigger is not None:
            self._runs.labels(run.source, run.trigger, outcome).inc()
        if run.requested_at is not None:
            self._run_seconds.labels(run.source).observe(max(0.0, (end.at - run.requested_at).total_seconds()))
