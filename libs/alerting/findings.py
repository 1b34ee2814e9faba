"""What is wrong, from what was seen in one look: pure rules, one for each kind of incident.

A finding says bad, well, or None for "cannot tell". None opens nothing and closes nothing: while Postgres is away nobody
knows whether runs fail, and a service that has just started does not know yet whether a consumer moves.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from enum import StrEnum
from typing import Final, Literal, NamedTuple

LETTERS_MINUTES: Final = 15
"""Dead letters that were set aside for longer are no longer rising."""
SETTLING_SECONDS: Final = 30.0
"""A consumer that was waiting for Postgres needs some seconds to begin again: that it stands still then is no stall."""
BACK_SECONDS: Final = 10.0
"""So long a dependency must answer to be back."""


class Kind(StrEnum):
    """What can be wrong."""

    SOURCE_FAILING = "source-failing"
    LETTERS_RISING = "dead-letters-rising"
    CONSUMER_STALLED = "consumer-stalled"
    DEPENDENCY_AWAY = "dependency-away"


@dataclass(frozen=True, slots=True)
class DependencySeen:
    """Whether a dependency answered, and why not."""

    up: bool
    error: str | None = None


@dataclass(frozen=True, slots=True)
class ConsumerSeen:
    """The consumer's progress. `members` is None when nobody asked, or nobody answered."""

    group: str
    status: Literal["idle", "moving", "stalled", "unknown"]
    lag_messages: int = 0
    still_seconds: float = 0.0
    members: int | None = None


@dataclass(frozen=True, slots=True)
class SourceSeen:
    """Runs of a source that have failed since its last success, and what the newest of them said."""

    failures: int
    error: str | None = None


@dataclass(frozen=True, slots=True)
class Snapshot:
    """One look at everything. What is None could not be looked at; `letters` counts those of the last minutes that still wait."""

    dependencies: Mapping[str, DependencySeen]
    consumer: ConsumerSeen | None = None
    sources: Mapping[str, SourceSeen] | None = None
    letters: Mapping[str, int] | None = None


@dataclass(frozen=True, slots=True)
class Limits:
    """From where on something is wrong."""

    failed_runs: int = 3
    dead_letters: int = 10
    grace_seconds: float = 60.0


class Finding(NamedTuple):
    """What one look says of one thing that can be wrong; it must say so for some seconds before it counts."""

    kind: Kind
    subject: str
    is_bad: bool | None
    words: str
    advice: str
    opens_after_seconds: float = 0.0
    closes_after_seconds: float = 0.0

    @property
    def key(self) -> str:
        """The incident's."""
        return f"{self.kind}/{self.subject}"


def findings_of(snapshot: Snapshot, limits: Limits) -> list[Finding]:
    """Return what the look says of everything that it could see.

    While Kafka is away only dependencies are judged: others may lead by now who see the rest.
    """
    found = list(_dependencies(snapshot, limits))
    if not _is_up(snapshot, "kafka"):
        return found
    if snapshot.consumer is not None:
        found.append(_consumer(snapshot.consumer, postgres_is_up=_is_up(snapshot, "postgres")))
    found.extend(_source(source, seen, limits) for source, seen in (snapshot.sources or {}).items())
    found.extend(_letters(source, count, limits) for source, count in (snapshot.letters or {}).items())
    return found


def _is_up(snapshot: Snapshot, dependency: str) -> bool:
    seen = snapshot.dependencies.get(dependency)
    return seen is not None and seen.up


def _dependencies(snapshot: Snapshot, limits: Limits) -> Iterator[Finding]:
    for name, seen in snapshot.dependencies.items():
        yield Finding(
            Kind.DEPENDENCY_AWAY,
            name,
            not seen.up,
            f"{name} has not answered for {limits.grace_seconds:g} s: {seen.error or 'no reason was given'}",
            "Start it, or let us reach it. Everything waits meanwhile, and nothing is lost.",
            opens_after_seconds=limits.grace_seconds,
            closes_after_seconds=BACK_SECONDS,
        )


def _consumer(seen: ConsumerSeen, *, postgres_is_up: bool) -> Finding:
    """A consumer that waits for Postgres is no incident of its own: that Postgres is away has been told."""
    if seen.members == 0:
        words = f"Nobody consumes: {seen.group} has no member, and {seen.lag_messages} messages wait"
        advice = "Start a normalizer; if one runs, its log says why it is not in the group."
    else:
        words = f"{seen.group} has committed nothing for {seen.still_seconds:.0f} s although {seen.lag_messages} messages wait"
        advice = "Look at the normalizer's /health and log, then restart it."
    judged = {"stalled": True, "idle": False, "moving": False, "unknown": None}[seen.status]
    return Finding(
        Kind.CONSUMER_STALLED,
        seen.group,
        judged if postgres_is_up else None,
        words,
        advice,
        opens_after_seconds=SETTLING_SECONDS,
        closes_after_seconds=BACK_SECONDS,
    )


def _source(source: str, seen: SourceSeen, limits: Limits) -> Finding:
    said = f". The newest said: {seen.error}" if seen.error else ""
    return Finding(
        Kind.SOURCE_FAILING,
        source,
        seen.failures >= limits.failed_runs,
        f"The last {seen.failures} runs of {source} failed{said}",
        "Its last answer stays served and grows old. Look at /stats/gaps and at the provider's own status page.",
    )


def _letters(source: str, count: int, limits: Limits) -> Finding:
    """Between none and the limit it stays as it is: one more or less opens and closes nothing."""
    return Finding(
        Kind.LETTERS_RISING,
        source,
        True if count >= limits.dead_letters else None if count else False,
        f"{count} records of {source} were set aside within {LETTERS_MINUTES} minutes, and wait in ticks.dead-letter",
        "`kasparro dead-letters` says why; nothing is lost, and they can be sent back once that is mended.",
    )
