"""A run: one poll of one source, from the request to the last tick in Postgres."""

from dataclasses import dataclass
from enum import StrEnum


class Trigger(StrEnum):
    """Who asked for a run."""

    SCHEDULE = "schedule"
    MANUAL = "manual"


class RunStatus(StrEnum):
    """requested -> running -> published -> succeeded, or failed, or skipped. It never goes back."""

    REQUESTED = "requested"
    RUNNING = "running"
    PUBLISHED = "published"
    SUCCEEDED = "succeeded"
    FAILED = "failed"
    SKIPPED = "skipped"

    @property
    def is_terminal(self) -> bool:
        """Whether nothing follows."""
        return self in {RunStatus.SUCCEEDED, RunStatus.FAILED, RunStatus.SKIPPED}


@dataclass(frozen=True, slots=True)
class RunCounts:
    """Rows of a run. The producer knows the first three and what it set aside, the normalizer the rest."""

    fetched: int = 0
    unchanged: int = 0
    published: int = 0
    stored: int = 0
    duplicate: int = 0
    dead_lettered: int = 0

    def __add__(self, other: "RunCounts") -> "RunCounts":
        return RunCounts(
            self.fetched + other.fetched,
            self.unchanged + other.unchanged,
            self.published + other.published,
            self.stored + other.stored,
            self.duplicate + other.duplicate,
            self.dead_lettered + other.dead_lettered,
        )

    @property
    def add_up(self) -> bool:
        """Whether every fetched row is accounted for; true of every succeeded run."""
        return self.fetched == self.unchanged + self.stored + self.duplicate + self.dead_lettered
