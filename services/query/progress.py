"""Whether the normalizer makes progress, judged from its committed offsets as they were seen to move, or not to.

Idle is a consumer that has nothing to read; stalled is one that has, and has committed nothing for so many seconds although
Kafka was there. What was seen before this service started, nobody knows.
"""

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Final, Literal

from libs.kafka.errors import KafkaUnreachableError
from libs.kafka.lag import LagReader, PartitionLag
from libs.process.clock import Clock

LOOK_SECONDS: Final = 5.0

Status = Literal["idle", "moving", "stalled", "unknown"]
Place = tuple[str, int]


@dataclass(frozen=True, slots=True)
class _Stood:
    """Where a partition's checkpoint stands, since when, and whether it was seen to come there."""

    committed: int | None
    since: float
    lag_messages: int
    moved: bool


@dataclass(frozen=True, slots=True)
class Progress:
    """What is to be said of one partition, or of several. `still_seconds`: how long unread messages have met no commit."""

    status: Status
    still_seconds: float
    lag_grew: bool = False


@dataclass(slots=True)
class ProgressBoard:
    """Watches one group's checkpoints; `of` judges at once."""

    reader: LagReader
    group: str
    topics: Sequence[str]
    stalled_seconds: float
    clock: Clock
    lags: Sequence[PartitionLag] = ()
    """As last seen; empty while Kafka is away."""
    _stood: dict[Place, _Stood] = field(default_factory=dict)
    _topic_moved: dict[str, float] = field(default_factory=dict)
    """When a checkpoint of the topic was last seen to move."""

    async def watch(self) -> None:
        """Look for ever."""
        while True:
            try:
                self.note(await self.reader.read(self.group, self.topics, self.clock.utc()))
            except KafkaUnreachableError:
                self.lags = ()
                self._stood.clear()  # nobody can commit now: it counts anew from when Kafka is back
            await self.clock.sleep(LOOK_SECONDS)

    def note(self, lags: Sequence[PartitionLag]) -> None:
        """Take what was seen now."""
        now = self.clock.monotonic()
        self.lags = lags
        for lag in lags:
            place = (lag.topic, lag.partition)
            before = self._stood.get(place)
            moved = before is not None and before.committed != lag.committed
            if moved:
                self._topic_moved[lag.topic] = now
            if before is None or moved or not lag.lag_messages:
                self._stood[place] = _Stood(lag.committed, now, lag.lag_messages, moved or not lag.lag_messages)

    def of(self, lag: PartitionLag) -> Progress:
        """Judge one partition by its lag now."""
        if not lag.lag_messages:
            return Progress("idle", 0.0)
        stood = self._stood.get((lag.topic, lag.partition))
        if stood is None or stood.committed != lag.committed:
            return Progress("unknown" if stood is None else "moving", 0.0)
        now = self.clock.monotonic()
        still = round(now - stood.since, 3)
        grew = lag.lag_messages > stood.lag_messages
        # While one partition of a topic moves the others wait for their turn.
        if min(still, now - self._topic_moved.get(lag.topic, stood.since)) >= self.stalled_seconds:
            return Progress("stalled", still, grew)
        return Progress("moving" if stood.moved else "unknown", still, grew)

    def of_all(self, lags: Sequence[PartitionLag]) -> Progress:
        """Judge several by the worst of them."""
        order: dict[Status, int] = {"idle": 0, "moving": 1, "unknown": 2, "stalled": 3}
        judged = [self.of(lag) for lag in lags] or [Progress("unknown", 0.0)]
        return max(judged, key=lambda one: (order[one.status], one.still_seconds))
