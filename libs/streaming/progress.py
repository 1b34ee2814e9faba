"""What a worker holds of its group, and how far it has come in each partition: read off the consumer, nothing is asked."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from faust.exceptions import ConsumerNotStarted
from faust.types import TP

from libs.streaming.agents import ChunkApp


@dataclass(frozen=True, slots=True)
class PartitionProgress:
    """A partition that is ours. `applied` is where a restart would begin, once that has been committed.

    `unapplied` counts the offsets from there to the end of what committed readers may see, markers included, as the last
    fetch told it; None before the first fetch. `log_end` is the end of everything, open transactions included.
    """

    topic: str
    partition: int
    applied: int
    log_end: int | None
    unapplied: int | None


@dataclass(frozen=True, slots=True)
class Membership:
    """What we are in the group. `generation` grows with each rebalance; a member that was thrown out gets another id."""

    member_id: str
    generation: int
    partitions: Sequence[PartitionProgress]


def membership_of(app: ChunkApp) -> Membership | None:
    """Return what this worker holds; None while it is not a member of its group."""
    consumer: Any = app.consumer
    try:
        assigned = sorted(consumer.assignment())
        driver = consumer._thread._ensure_consumer()  # noqa: SLF001 - Faust and aiokafka have no public way to ask
    except ConsumerNotStarted:
        return None
    coordinator, subscription = driver._coordinator, driver._subscription.subscription  # noqa: SLF001 - the same
    joined = coordinator is not None and coordinator.member_id and coordinator.generation >= 0
    if not joined or subscription is None or subscription.assignment is None:
        return None
    partitions = [_progress_of(consumer, tp, subscription.assignment.state_value(tp)) for tp in assigned]
    return Membership(coordinator.member_id, coordinator.generation, [one for one in partitions if one is not None])


def _progress_of(consumer: Any, tp: TP, state: Any) -> PartitionProgress | None:
    applied: int | None = consumer.applied_position(tp.topic, tp.partition)
    if applied is None or state is None:
        return None  # a rebalance is under way, in another thread
    readable: int | None = state.lso
    unapplied = None if readable is None or readable < 0 else max(0, readable - applied)
    return PartitionProgress(tp.topic, tp.partition, applied, state.highwater, unapplied)
