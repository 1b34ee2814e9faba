"""Where a replay goes, partition by partition. Pure: what Kafka holds comes in as values."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime

from libs.kafka.offsets import Place, Standing


class ReplayRefusedError(Exception):
    """The replay that was asked for makes no sense for what is there; the message says why."""


@dataclass(frozen=True, slots=True)
class Beginning:
    """The oldest record that is kept."""


@dataclass(frozen=True, slots=True)
class Moment:
    """The first record that Kafka timed at this moment or later."""

    at: datetime


@dataclass(frozen=True, slots=True)
class Offsets:
    """An offset for each partition named."""

    of: Mapping[int, int]


Target = Beginning | Moment | Offsets


@dataclass(frozen=True, slots=True)
class Move:
    """What becomes of one partition. Counts are of offsets: the markers of transactions take some, so records are fewer.

    `from_offset` is where the group would go on by itself, `to_offset` where it will. `eaten` counts the offsets that were
    asked for and that retention has removed; None when there are some and their number cannot be known.
    """

    topic: str
    partition: int
    committed: int | None
    from_offset: int
    to_offset: int
    log_start: int
    log_end: int
    eaten: int | None

    @property
    def place(self) -> Place:
        """The partition."""
        return Place(self.topic, self.partition)

    @property
    def replayed(self) -> int:
        """Offsets that are read again."""
        return max(0, self.from_offset - self.to_offset)

    @property
    def skipped(self) -> int:
        """Offsets that nobody will have read."""
        return max(0, self.to_offset - self.from_offset)


def moves_of(target: Target, standings: Sequence[Standing], since: Mapping[Place, int | None]) -> list[Move]:
    """Return the moves. `since` has the first offset at a Moment for each partition, None where nothing is as young."""
    return [_move(target, standing, since) for standing in standings]


def never_forward(move: Move) -> Move:
    """Return the move, or one that stays, for a topic of which nothing may be skipped."""
    return replace(move, to_offset=min(move.from_offset, move.to_offset))


def _move(target: Target, standing: Standing, since: Mapping[Place, int | None]) -> Move:
    start, end = standing.log_start, standing.log_end
    eaten: int | None
    match target:
        case Beginning():
            to_offset, eaten = start, start
        case Moment():
            first = since[standing.place]
            to_offset = end if first is None else max(first, start)
            eaten = None if start and to_offset == start else 0
        case Offsets(of):
            wanted = of[standing.place.partition]
            if wanted > end:
                raise ReplayRefusedError(
                    f"offset {wanted} is beyond the end of {standing.place.topic} partition {standing.place.partition}, "
                    f"which is {end}; a worker that is sent there goes to the oldest record instead"
                )
            to_offset, eaten = max(wanted, start), max(0, start - wanted)
    committed = standing.committed
    from_offset = start if committed is None or committed > end else max(committed, start)
    return Move(*standing.place, committed, from_offset, to_offset, start, end, eaten)
