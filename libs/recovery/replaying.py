"""Replay: the checkpoints of a stopped group are moved, and its workers read from there when they start again.

Whatever is read again changes nothing: older data never overwrites newer, a record counts once for its run. So a replay
that was not needed costs time and nothing else, and one that stops halfway is repeated.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from libs.kafka.offsets import GroupOffsets, Place
from libs.recovery.targets import Beginning, Moment, Move, Offsets, ReplayRefusedError, Target, moves_of, never_forward


@dataclass(frozen=True, slots=True)
class Pipeline:
    """The topics of a group: source -> its raw topic; where assets go; and what else it reads, which tells of runs and more."""

    raw: Mapping[str, str]
    assets: str
    others: Sequence[str] = ()


@dataclass(frozen=True, slots=True)
class Wish:
    """What an operator asked for. Without sources all of them; without partitions all of them."""

    target: Target
    sources: Sequence[str] = ()
    partitions: Sequence[int] = field(default=())
    rebuild: bool = False
    history: bool = False

    @property
    def is_whole(self) -> bool:
        """Whether it is about everything that the group reads, and not only about some ticks."""
        return not self.sources and not self.partitions and not isinstance(self.target, Offsets)


def check(wish: Wish, pipeline: Pipeline) -> None:
    """Raise ReplayRefusedError for what can be seen to be wrong without asking Kafka."""
    if unknown := [source for source in wish.sources if source not in pipeline.raw]:
        raise ReplayRefusedError(f"no source {', '.join(unknown)}; there are {', '.join(pipeline.raw)}")
    if isinstance(wish.target, Offsets) and len(wish.sources) != 1:
        raise ReplayRefusedError("offsets are those of one source's topic: name it with --source")
    if wish.rebuild and not isinstance(wish.target, Beginning):
        raise ReplayRefusedError("a rebuild empties tables, and only a replay --to beginning fills them again")
    if wish.history and not wish.rebuild:
        raise ReplayRefusedError("the history is emptied in a rebuild alone: say --rebuild too")
    if wish.rebuild and wish.partitions:
        raise ReplayRefusedError("a rebuild empties a source's tables, so it replays all partitions: leave --partition out")


async def plan(wish: Wish, pipeline: Pipeline, offsets: GroupOffsets) -> list[Move]:
    """Return what would be done. Raises ReplayRefusedError, TopicsError, KafkaUnreachableError.

    A wish for everything moves the other topics that the group reads too: they are projected by key, so reading them again
    fills tables that are new and changes none that are not. Nothing of those is ever skipped.
    """
    check(wish, pipeline)
    raw = [pipeline.raw[source] for source in (wish.sources or pipeline.raw)]
    standings = await offsets.standings([*raw, *(pipeline.others if wish.is_whole else ())])
    wanted = set(wish.target.of) if isinstance(wish.target, Offsets) else set(wish.partitions)
    if absent := sorted(wanted - {standing.place.partition for standing in standings}):
        count = 1 + max(standing.place.partition for standing in standings)
        raise ReplayRefusedError(f"no partition {', '.join(map(str, absent))}; {raw[0]} has 0 to {count - 1}")
    chosen = [standing for standing in standings if not wanted or standing.place.partition in wanted]
    since: Mapping[Place, int | None] = {}
    if isinstance(wish.target, Moment):
        since = await offsets.first_since([standing.place for standing in chosen], wish.target.at)
    moves = moves_of(wish.target, chosen, since)
    return [move if move.topic in raw else never_forward(move) for move in moves]


async def move(offsets: GroupOffsets, moves: Sequence[Move]) -> None:
    """Commit the targets, all at once. Raises GroupInUseError when somebody is in the group: then nothing was moved."""
    await offsets.commit({one.place: one.to_offset for one in moves})
