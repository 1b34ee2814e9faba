"""Health, sources and checkpoints as the API shows them."""

from collections.abc import Mapping, Sequence
from typing import Annotated, Any, Literal
from uuid import UUID

from pydantic import AwareDatetime, Field

from libs.domain.shapes import DriftKind
from libs.postgres.reading.rows import Row
from services.query.views.polling import QuotaView, ScheduleView
from services.query.views.runs import RunView
from services.query.views.shapes import View

Status = Annotated[
    Literal["idle", "moving", "stalled", "unknown"],
    Field(
        description="idle: nothing to read. moving: what there is is being committed. stalled: there is something to read, Kafka "
        "answers, and nothing was committed for NORMALIZER_STALLED_SECONDS. unknown: this service has not watched for that long"
    ),
]
StillSeconds = Annotated[float, Field(description="How long unread messages have been seen to meet no commit")]
EventLag = Annotated[
    float | None, Field(description="How long ago the oldest unread tick was true, by its event time; null when it is no tick")
]


class DependencyView(View):
    """What the last look at a dependency found."""

    status: Literal["up", "down"]
    since: AwareDatetime = Field(description="When it was first seen in this status")
    error: str | None = Field(description="Why it is down, or what is wrong although it answers")


class ConsumerView(View):
    """The normalizer's progress, as last seen from here."""

    status: Status
    still_seconds: StillSeconds
    lag_messages: int | None = Field(description="Null while Kafka is away")


class DependenciesView(View):
    """What the API needs."""

    postgres: DependencyView
    kafka: DependencyView


class HealthView(View):
    """That the API serves, and what it sees."""

    status: Literal["ok", "degraded"] = Field(
        description="`degraded` while a dependency is down, Postgres is not migrated, or the normalizer is stalled"
    )
    version: str
    uptime_seconds: float
    sandbox: bool = Field(description="Whether the data are made up")
    dependencies: DependenciesView
    normalizer: ConsumerView
    last_success: dict[str, AwareDatetime | None] = Field(
        description="By source: when its last run succeeded; as last known while Postgres is away"
    )


class ReadyView(View):
    """That the API can answer."""

    status: Literal["ready"]


class RawCountView(View):
    """How many raw rows a source has."""

    count: int
    estimated: bool = Field(description="Whether the planner's statistics said so: counting millions takes seconds")


class FieldDriftView(View):
    """One field that was not as it was known until then."""

    kind: str = Field(description=f"{', '.join(DriftKind)}; take one that you do not know")
    field: str = Field(description="`outer.inner`, `list[].inner`; for a file, the column")
    was: list[str] = Field(description="Types that it was known with; none for a new one")
    now: list[str] = Field(description="Types that it had then; none for a missing one")
    run_id: UUID
    shard: str
    found_at: AwareDatetime


class DriftView(View):
    """How a source's rows have changed their shape; each change is told once."""

    counts: dict[str, int] = Field(
        description=f"Fields that were not as known, in the last 60 days, by kind: {', '.join(DriftKind)}, and any later one"
    )
    recent: list[FieldDriftView] = Field(description="The newest first, at most 20")


class SourceView(View):
    """What has come of one source."""

    source: str
    runs_here: bool = Field(description="Whether a producer is expected; false for an optional source that nobody enabled")
    raw: RawCountView
    listings: int = Field(description="Listings with a quote")
    assets: int = Field(description="Assets that take their values from it")
    newest_event_at: AwareDatetime | None
    newest_fetched_at: AwareDatetime | None
    freshness_seconds: float | None = Field(description="Age of its newest quote, by event time")
    last_run: RunView | None
    last_success: RunView | None
    schedule: ScheduleView | None = Field(description="Null when it has never run by schedule, or Kafka has not been heard yet")
    quota: QuotaView | None = Field(description="Null when nothing was asked of its provider, or Kafka has not been heard yet")
    drift: DriftView


class SourcesView(View):
    """Every source."""

    sources: list[SourceView]


class CursorView(View):
    """What a producer holds of one shard, so that it publishes only what has changed."""

    shard: str
    polled_at: AwareDatetime
    run_id: UUID
    ticks: int = Field(description="Rows of its last answer")


class PartitionView(View):
    """Where the normalizer stands in one partition."""

    partition: int
    committed: int | None = Field(description="The offset it reads next; null when it has never committed")
    log_start: int
    log_end: int
    lag_messages: int = Field(description="0: nothing left to read. Otherwise offsets from the oldest unread record on")
    lag_seconds: float | None = Field(description="Age of the oldest unread record; null when it could not be looked at in time")
    event_lag_seconds: EventLag
    status: Status
    still_seconds: StillSeconds
    lag_grew: bool = Field(description="Whether more is unread than when it was last seen to move")


class CheckpointView(View):
    """One source's place."""

    source: str
    topic: str
    lag_messages: int
    lag_seconds: float | None
    event_lag_seconds: EventLag
    status: Status
    still_seconds: StillSeconds
    cursors: list[CursorView]
    partitions: list[PartitionView]


class CheckpointsView(View):
    """The checkpoints are the consumer group's committed offsets; there is no other record of them."""

    group: str
    members: int = Field(description="Processes in the group now; 0: nobody consumes")
    checkpoints: list[CheckpointView]


class DebugView(View):
    """Counts and checkpoints together; a part that cannot be had now is null, and `unavailable` says why."""

    assets: int | None
    sources: list[SourceView] | None
    group: str
    members: int | None
    checkpoints: list[CheckpointView] | None
    unavailable: dict[str, str]


def drift_body(counts: Mapping[str, int], newest: Sequence[Row]) -> dict[str, Any]:
    """Return a DriftView's content."""
    plain = ("kind", "field", "was", "run_id", "shard", "found_at")
    recent = [{name: row[name] for name in plain} | {"now": row["has_now"]} for row in newest]
    return {"counts": counts, "recent": recent}
