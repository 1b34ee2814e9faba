"""What `kasparro status` reads of the API's answers. Fields and kinds that a later API adds are borne with."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final

import msgspec

LARGEST_PAGE: Final = 10
"""Of runs and of gaps: the newest."""
NAMES: Final = ("health", "sources", "checkpoints", "runs", "dead_letters", "gaps", "incidents")


class Dependency(msgspec.Struct, frozen=True):
    """Something that the API needs, as last seen."""

    status: str
    since: datetime
    error: str | None


class Consumer(msgspec.Struct, frozen=True):
    """The normalizer's progress."""

    status: str
    still_seconds: float
    lag_messages: int | None


class Health(msgspec.Struct, frozen=True):
    """GET /health."""

    status: str
    version: str
    uptime_seconds: float
    sandbox: bool
    dependencies: dict[str, Dependency]
    normalizer: Consumer


class Anomaly(msgspec.Struct, frozen=True):
    """What is unusual about a run."""

    kind: str
    words: str


class Run(msgspec.Struct, frozen=True):
    """A run, ended or not."""

    run_id: str
    source: str
    trigger: str | None
    status: str
    counts: dict[str, int]
    requested_at: datetime | None
    started_at: datetime | None
    finished_at: datetime | None
    duration_ms: int | None
    error: str | None
    anomalies: list[Anomaly] = []

    @property
    def told_at(self) -> datetime | None:
        """The latest that is known of it."""
        return self.finished_at or self.started_at or self.requested_at


class FieldDrift(msgspec.Struct, frozen=True):
    """A field that was not as it was known."""

    kind: str
    field: str
    was: list[str]
    now: list[str]
    found_at: datetime


class Drift(msgspec.Struct, frozen=True):
    """How a source's rows have changed their shape."""

    recent: list[FieldDrift]


class Schedule(msgspec.Struct, frozen=True):
    """When a source runs by itself."""

    interval_seconds: float | None
    next_at: datetime | None


class QuotaWindow(msgspec.Struct, frozen=True):
    """A budget, and what is left of it."""

    limit: int
    left: int


class Quota(msgspec.Struct, frozen=True):
    """What the provider still allows."""

    minute: QuotaWindow | None
    month: QuotaWindow | None
    blocked_until: datetime | None


class Source(msgspec.Struct, frozen=True):
    """What has come of one source."""

    source: str
    runs_here: bool
    listings: int
    assets: int
    freshness_seconds: float | None
    last_run: Run | None
    last_success: Run | None
    drift: Drift
    schedule: Schedule | None = None
    quota: Quota | None = None


class Sources(msgspec.Struct, frozen=True):
    """GET /stats/sources."""

    sources: list[Source]


class Partition(msgspec.Struct, frozen=True):
    """Where the normalizer stands in one partition."""

    partition: int
    lag_messages: int
    status: str
    still_seconds: float
    lag_grew: bool


class Checkpoint(msgspec.Struct, frozen=True):
    """Where it stands in a source's ticks."""

    source: str
    lag_messages: int
    lag_seconds: float | None
    status: str
    still_seconds: float
    partitions: list[Partition]


class Checkpoints(msgspec.Struct, frozen=True):
    """GET /stats/checkpoints."""

    group: str
    members: int
    checkpoints: list[Checkpoint]


class Runs(msgspec.Struct, frozen=True):
    """GET /stats."""

    runs: list[Run]


class LetterClass(msgspec.Struct, frozen=True):
    """The dead letters of one source and error class."""

    source: str | None
    error_class: str
    waiting: int
    last_failed_at: datetime


class DeadLetters(msgspec.Struct, frozen=True):
    """GET /stats/dead-letters."""

    dead_letters: list[LetterClass]


class Gap(msgspec.Struct, frozen=True):
    """Something that is missing; which of the fields there are is the kind's matter."""

    kind: str
    source: str | None
    found_at: datetime
    runs: int | None = None
    first_due: datetime | None = None
    last_due: datetime | None = None
    topic: str | None = None
    partition: int | None = None
    from_offset: int | None = None
    to_offset: int | None = None
    run_id: str | None = None
    shard: str | None = None
    error: str | None = None


class Gaps(msgspec.Struct, frozen=True):
    """GET /stats/gaps."""

    gaps: list[Gap]


class Incident(msgspec.Struct, frozen=True):
    """Something that operators are told of."""

    kind: str
    subject: str
    opened_at: datetime
    closed_at: datetime | None
    words: str
    advice: str
    runbook: str


class Incidents(msgspec.Struct, frozen=True):
    """GET /stats/incidents."""

    incidents: list[Incident]

    @property
    def open(self) -> list[Incident]:
        """Those that are not over."""
        return [each for each in self.incidents if each.closed_at is None]


@dataclass(frozen=True, slots=True)
class Found:
    """Everything at one moment; what could not be had is None, and `unavailable` says why, by its name."""

    health: Health
    sources: Sources | None
    checkpoints: Checkpoints | None
    runs: Runs | None
    dead_letters: DeadLetters | None
    gaps: Gaps | None
    incidents: Incidents | None
    bodies: Mapping[str, msgspec.Raw]
    """The answers as they came, by the same names."""
    unavailable: Mapping[str, str]
    at: datetime

    def document(self, **more: Any) -> dict[str, Any]:
        """Return what scripts read: `more`, and each answer whole under its name."""
        return {**more, "at": self.at, **{name: self.bodies.get(name) for name in NAMES}, "unavailable": self.unavailable}
