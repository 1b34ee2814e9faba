"""Gaps as the API shows them."""

from typing import Annotated, Any, Literal
from uuid import UUID

from pydantic import AwareDatetime, Field

from libs.postgres.reading.gaps import SHARD_FAILED
from libs.postgres.reading.rows import Row
from services.query.views.shapes import View


class RunsMissedView(View):
    """Scheduled runs that nobody was there to make."""

    kind: Literal["runs_missed"]
    gap_id: UUID
    source: str
    found_at: AwareDatetime
    first_due: AwareDatetime
    last_due: AwareDatetime
    runs: int
    interval_seconds: float


class OffsetsLostView(View):
    """Offsets that retention, or a topic made anew, removed before a group had read them."""

    kind: Literal["offsets_lost"]
    gap_id: UUID
    source: str | None = Field(description="Null when the topic is no source's")
    found_at: AwareDatetime
    group: str
    topic: str
    partition: int
    from_offset: int = Field(description="The offset that the group wanted")
    to_offset: int = Field(description="Where it went on; lower than from_offset when the topic was made anew")


class ShardFailedView(View):
    """A shard of a run whose answer could not be had, or was not what it should be."""

    kind: Literal["shard_failed"]
    source: str
    found_at: AwareDatetime
    run_id: UUID = Field(description="See /stats/runs/{run_id}")
    shard: str
    error: str


GapView = Annotated[RunsMissedView | OffsetsLostView | ShardFailedView, Field(discriminator="kind")]


class GapPageView(View):
    """What is known to be missing, newest first."""

    gaps: list[GapView]
    limit: int
    next_cursor: str | None


def gap_body(row: Row) -> dict[str, Any]:
    """Return the content of the view of its kind."""
    told = {"kind": row["kind"], "source": row["source"], "found_at": row["found_at"]}
    if row["kind"] == SHARD_FAILED:
        return told | {name: row[name] for name in ("run_id", "shard", "error")}
    told["gap_id"] = row["gap_id"]
    if row["kind"] == "runs_missed":
        return told | {name: row[name] for name in ("first_due", "last_due", "runs", "interval_seconds")}
    where = {name: row[name] for name in ("topic", "partition", "from_offset", "to_offset")}
    return told | where | {"source": row["source"] or None, "group": row["consumer_group"]}
