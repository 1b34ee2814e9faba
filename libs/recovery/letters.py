"""Dead letters as an operator looks at them: what one is, which are meant, and what keeps one from being re-driven."""

from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from typing import Final, NamedTuple
from uuid import UUID

from libs.contracts.dead_letters import Told
from libs.contracts.topics import DEAD_LETTERS, RUN_EVENTS, SETTLEMENTS, SOURCE_TOPICS

GROUP: Final = "kasparro-dead-letters"
"""Its committed offsets are the lowest letter of each partition that is not dealt with: Kafka's own tools show its lag."""


@dataclass(frozen=True, slots=True)
class Places:
    """The topics that re-driving reads and writes, by name. `takes_back`: where a letter may return to."""

    dead_letters: str
    settlements: str
    takes_back: frozenset[str]
    commands: frozenset[str]
    group: str = GROUP
    transactional_id: str = GROUP


DECLARED: Final = Places(
    dead_letters=DEAD_LETTERS.name,
    settlements=SETTLEMENTS.name,
    takes_back=frozenset({RUN_EVENTS.name, *(topics.raw.name for topics in SOURCE_TOPICS.values())}),
    commands=frozenset(topics.commands.name for topics in SOURCE_TOPICS.values()),
)


class State(StrEnum):
    """What has become of a letter."""

    WAITING = "waiting"
    REDRIVEN = "redriven"
    DROPPED = "dropped"
    REPEAT = "repeat"
    """A replay set the same record aside again: what becomes of the first letter is all that becomes of it."""


class Obstacle(StrEnum):
    """Why a letter cannot be re-driven."""

    IN_NO_TOPIC = "in_no_topic"
    ORIGIN_UNKNOWN = "origin_unknown"
    COMMAND = "command"
    NOT_TAKEN_BACK = "not_taken_back"
    REFUSED = "refused"

    @property
    def explanation(self) -> str:
        """One line for an operator."""
        return _EXPLANATIONS[self]


_EXPLANATIONS: Final = {
    Obstacle.IN_NO_TOPIC: "a provider's row that named no listing and was in no topic; a poll brings it once it is mended",
    Obstacle.ORIGIN_UNKNOWN: "the headers do not say which topic it came from",
    Obstacle.COMMAND: "a command: ask for a new run instead (kasparro run SOURCE)",
    Obstacle.NOT_TAKEN_BACK: "the topic it says it came from takes no record back",
    Obstacle.REFUSED: "the broker refuses it: too large for its topic, headers included",
}


class Moment(NamedTuple):
    """A letter's place in the order in which letters failed; of letters of the same record the lowest is the first."""

    failed_at: datetime
    partition: int
    offset: int


@dataclass(frozen=True, slots=True)
class Letter:
    """A dead letter without its bytes. `begins`: after the record before it, so that what is settled has no holes."""

    moment: Moment
    begins: int
    told: Told
    identity: UUID | None
    size: int

    @property
    def partition(self) -> int:
        """Of ticks.dead-letter."""
        return self.moment.partition

    @property
    def offset(self) -> int:
        """In ticks.dead-letter."""
        return self.moment.offset

    @property
    def failed_at(self) -> datetime:
        """Kafka's time of the record."""
        return self.moment.failed_at


@dataclass(frozen=True, slots=True)
class Selection:
    """Which letters are meant: those that fit everything that is given."""

    source: str | None = None
    error_class: str | None = None
    run_id: UUID | None = None
    since: datetime | None = None
    partition: int | None = None
    offset: int | None = None

    def takes(self, letter: Letter) -> bool:
        """Whether the letter is meant."""
        told = letter.told
        return (
            self.source in {None, told.source}
            and self.error_class in {None, told.error_class}
            and self.run_id in {None, told.run_id}
            and (self.since is None or self.since <= letter.failed_at)
            and self.partition in {None, letter.partition}
            and self.offset in {None, letter.offset}
        )


def obstacle(letter: Letter, places: Places) -> Obstacle | None:
    """Return what keeps the letter from being re-driven."""
    origin = letter.told.origin
    if origin is None:
        return Obstacle.ORIGIN_UNKNOWN
    if origin.topic in places.commands:
        return Obstacle.COMMAND
    if origin.topic not in places.takes_back:
        return Obstacle.NOT_TAKEN_BACK
    return Obstacle.IN_NO_TOPIC if origin.partition < 0 or origin.offset < 0 else None
