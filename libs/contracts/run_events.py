"""Run events: what happened to a run, in order. The value of etl.runs; the key is the run_id.

The producer reports the request, the start and each shard. The normalizer, which alone knows when the last tick has been
applied, reports the end.
"""

from typing import Annotated, Literal
from uuid import UUID

from pydantic import AwareDatetime, BaseModel, ConfigDict, Field, TypeAdapter

from libs.contracts.commands import LONGEST_SHARD, LONGEST_SOURCE
from libs.contracts.texts import Name, Words
from libs.domain.anomalies import AnomalyKind
from libs.domain.runs import Trigger
from libs.domain.shapes import DriftKind

LONGEST_ERROR = 2_000
"""Characters of the words of an event, where it is made: they may quote what a provider sent."""

Shard = Annotated[Name, Field(max_length=LONGEST_SHARD)]


class _RunEvent(BaseModel):
    model_config = ConfigDict(frozen=True, extra="ignore")

    run_id: UUID
    source: Name = Field(max_length=LONGEST_SOURCE)
    at: AwareDatetime = Field(description="When it happened")


class ShardCounts(BaseModel):
    """Rows of one shard's answer: fetched = unchanged + published + dead_lettered."""

    model_config = ConfigDict(frozen=True, extra="ignore")

    fetched: int = Field(ge=0)
    unchanged: int = Field(ge=0, description="Content already published, so not published again")
    published: int = Field(ge=0)
    dead_lettered: int = Field(ge=0, description="Rows without what a tick needs, set aside by the producer")


class FieldDrifted(BaseModel):
    """A field of a source's rows that is not as it was known until this answer. Told once."""

    model_config = ConfigDict(frozen=True, extra="ignore")

    kind: Name = Field(description=f"{', '.join(DriftKind)}; take one that you do not know")
    field: Name = Field(description="`outer.inner`, `list[].inner`; for a file, the column")
    was: tuple[str, ...] = Field(description="Types that it was known with; none for a new one")
    now: tuple[str, ...] = Field(description="Types that it has now; none for a missing one")


class RunTotals(BaseModel):
    """Rows of a finished run: fetched = unchanged + stored + duplicate + dead_lettered."""

    model_config = ConfigDict(frozen=True, extra="ignore")

    fetched: int = Field(0, ge=0)
    unchanged: int = Field(0, ge=0)
    published: int = Field(0, ge=0)
    stored: int = Field(0, ge=0)
    duplicate: int = Field(0, ge=0)
    dead_lettered: int = Field(0, ge=0)


class PriceMoves(BaseModel):
    """How far a run's prices were from what the same listings had said before, up or down."""

    model_config = ConfigDict(frozen=True, extra="ignore")

    compared: int = Field(description="Listings that have now a price, and had one before", ge=0)
    median_percent: float
    large_share: float = Field(description="Of those compared, the share that moved by 10 % or more")


class RunAnomaly(BaseModel):
    """Something unusual about a run, measured by the source's runs before it."""

    model_config = ConfigDict(frozen=True, extra="ignore")

    kind: Name = Field(description=f"{', '.join(AnomalyKind)}; take one that you do not know")
    value: float = Field(description="A count, a share or a percentage, as the kind says")
    expected: float = Field(description="The median of the runs before")
    words: Words


ANOMALIES: TypeAdapter[tuple[RunAnomaly, ...]] = TypeAdapter(tuple[RunAnomaly, ...])
"""Writes what is unusual about a run as JSON."""


class RunRequested(_RunEvent):
    """Somebody asked for a run."""

    event: Literal["requested"] = "requested"
    trigger: Trigger


class RunStarted(_RunEvent):
    """A producer divided the run into shards and sent a command for each."""

    event: Literal["started"] = "started"
    trigger: Trigger
    shards: tuple[Shard, ...] = Field(min_length=1)


class ShardPublished(_RunEvent):
    """A shard's ticks are in the raw topic, committed in the transaction that carries this event."""

    event: Literal["shard_published"] = "shard_published"
    shard: Shard
    counts: ShardCounts
    last_offsets: dict[int, int] = Field(description="Partition of the raw topic -> offset of the last tick written there")
    drift: tuple[FieldDrifted, ...] = Field((), description="Fields that are new, missing or of another type since this answer")


class ShardFailed(_RunEvent):
    """A shard's answer could not be had, or was not what it should be; nothing of it was published."""

    event: Literal["shard_failed"] = "shard_failed"
    shard: Shard
    error: Words


class RunSkipped(_RunEvent):
    """There was nothing to do; terminal."""

    event: Literal["skipped"] = "skipped"
    trigger: Trigger
    reason: Words


class RunSucceeded(_RunEvent):
    """The normalizer's checkpoint has passed the run's last tick in each partition; terminal."""

    event: Literal["succeeded"] = "succeeded"
    totals: RunTotals
    price_moves: PriceMoves | None = Field(None, description="Null where no listing had two prices")
    anomalies: tuple[RunAnomaly, ...] = Field((), description="What is unusual about it; the run is as good as any other")


class RunFailed(_RunEvent):
    """At least one shard failed; what the others published has been applied; terminal."""

    event: Literal["failed"] = "failed"
    error: Words
    totals: RunTotals


RunEvent = Annotated[
    RunRequested | RunStarted | ShardPublished | ShardFailed | RunSkipped | RunSucceeded | RunFailed,
    Field(discriminator="event"),
]
RUN_EVENT: TypeAdapter[RunEvent] = TypeAdapter(RunEvent)
"""Reads and writes a run event: RUN_EVENT.validate_json(value)."""
