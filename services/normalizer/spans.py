"""The spans of chunks that were stored together: a trace of its own, linked to each run whose ticks they hold."""

from collections.abc import Sequence
from typing import NamedTuple

from libs.postgres.writing.ticks import Counted
from libs.process.clock import Clock
from libs.telemetry.tracing import Attributes, Tracer
from services.normalizer.lanes import Read
from services.normalizer.traces import Traces


class Between(NamedTuple):
    """A piece of work, by the monotonic clock."""

    began: float
    ended: float

    @property
    def seconds(self) -> float:
        """How long it took."""
        return self.ended - self.began


class Work(NamedTuple):
    """What was done with chunks that went into one transaction."""

    reads: Sequence[Read]
    stored: Between
    published: Between
    traces: Traces
    counted: Counted


def tell_spans(tracer: Tracer, clock: Clock, work: Work) -> None:
    """Tell of the work once it is done, with the stages that kasparro_chunk_stage_seconds has."""
    ahead = clock.utc().timestamp() - clock.monotonic()
    first = work.reads[0]
    chunk = tracer.record(
        "chunk",
        seconds=(first.started + ahead, work.published.ended + ahead),
        links=work.traces.runs,
        attributes={
            "messaging.system": "kafka",
            "messaging.destination.name": first.chunk.topic,
            "messaging.batch.message_count": sum(len(read.chunk) for read in work.reads),
            "kasparro.source": first.inlet.source.name,
            "kasparro.partitions": " ".join(str(read.chunk.partition) for read in work.reads),
            "kasparro.stored": work.counted.stored,
            "kasparro.duplicate": work.counted.duplicate,
            "kasparro.dead_lettered": work.counted.dead_lettered,
        },
    )
    for read in work.reads:
        attributes: Attributes = {
            "messaging.destination.partition.id": str(read.chunk.partition),
            "messaging.kafka.offset": read.chunk.start,
        }
        tracer.record("read", seconds=(read.started + ahead, read.done + ahead), parent=chunk, attributes=attributes)
    for name, stage in (("store", work.stored), ("publish", work.published)):
        tracer.record(name, seconds=(stage.began + ahead, stage.ended + ahead), parent=chunk)
