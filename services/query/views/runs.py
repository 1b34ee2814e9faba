"""Runs as the API shows them."""

from collections.abc import Sequence
from datetime import datetime
from typing import Any, Literal
from uuid import UUID

import msgspec
from pydantic import AwareDatetime, Field

from libs.domain.anomalies import AnomalyKind
from libs.domain.runs import RunStatus, Trigger
from libs.postgres.reading.rows import Row
from services.query.views.shapes import View

COUNTS = ("fetched", "unchanged", "published", "stored", "duplicate", "dead_lettered")


class CountsView(View):
    """Rows of a run: fetched = unchanged + stored + duplicate + dead_lettered, once it has succeeded."""

    fetched: int
    unchanged: int = Field(description="Content already published, so not published again")
    published: int
    stored: int = Field(description="New raw rows in Postgres")
    duplicate: int = Field(description="Published, and found to be stored already")
    dead_lettered: int


class PriceMovesView(View):
    """How far a run's prices were from what the same listings had said before, up or down."""

    compared: int = Field(description="Listings that have a price, and had one before")
    median_percent: float
    large_share: float = Field(description="Of those compared, the share that moved by 10 % or more")


class AnomalyView(View):
    """Something unusual about a run, measured by the source's succeeded runs before it."""

    kind: str = Field(description=f"{', '.join(AnomalyKind)}; take one that you do not know")
    value: float = Field(description="row_count: rows; price_moves: per cent; the others: a share")
    expected: float = Field(description="The median of up to 30 runs before")
    words: str


class RunView(View):
    """One poll of one source, from the request to the last tick in Postgres."""

    run_id: UUID
    source: str
    trigger: Trigger | None = Field(description="Null until that is known")
    status: RunStatus
    counts: CountsView
    shards: list[str] | None = Field(description="What the run was divided into; null until a producer has taken it")
    requested_at: AwareDatetime | None
    started_at: AwareDatetime | None
    published_at: AwareDatetime | None
    finished_at: AwareDatetime | None
    duration_ms: int | None = Field(description="From the request (or the start) to the end; null while it goes on")
    error: str | None = Field(description="Why it failed, or why it was skipped")
    price_moves: PriceMovesView | None = Field(description="Null until it has succeeded, and where no listing had two prices")
    anomalies: list[AnomalyView] = Field(description="What is unusual about it; told, not acted on: its data count like any")


class AwaitedRunView(RunView):
    """A run that a request waited for."""

    waiting_for: str | None = Field(description="What has to happen next, such as a provider's quota; null when it is over")


class ShardView(View):
    """What one shard of a run has reported."""

    shard: str
    fetched: int
    unchanged: int
    published: int
    dead_lettered: int
    error: str | None
    reported_at: AwareDatetime


class RunDetailView(RunView):
    """One run with its shards."""

    shard_reports: list[ShardView]


class RunPageView(View):
    """Recent runs, the one with the latest news first."""

    runs: list[RunView]
    total: int
    limit: int
    offset: int


class RunRequestedView(View):
    """A run that was asked for."""

    run_id: UUID
    source: str
    status: Literal["requested"]
    location: str = Field(description="Where to follow it")


class SourceRunView(View):
    """What became of one source in a run-all."""

    source: str
    outcome: Literal["finished", "still_going", "failed", "not_taken", "requested"]
    location: str
    run: AwaitedRunView


class RunAllView(View):
    """One run a source, in the order they were asked for."""

    runs: list[SourceRunView]


def run_body(row: Row) -> dict[str, Any]:
    """Return a RunView's content."""
    return {
        "run_id": row["run_id"],
        "source": row["source"],
        "trigger": row["trigger"],
        "status": row["status"],
        "counts": {name: row[name] for name in COUNTS},
        "shards": row["shards"],
        "requested_at": row["requested_at"],
        "started_at": row["started_at"],
        "published_at": row["published_at"],
        "finished_at": row["finished_at"],
        "duration_ms": _duration_ms(row["requested_at"] or row["started_at"], row["finished_at"]),
        "error": row["error"],
        "price_moves": None if row["price_moves"] is None else msgspec.Raw(row["price_moves"].encode()),
        "anomalies": msgspec.Raw(row["anomalies"].encode()),
    }


def run_detail_body(rows: Sequence[Row]) -> dict[str, Any]:
    """Return a RunDetailView's content from the run joined with each shard that has reported."""
    counted = ("fetched", "unchanged", "published", "dead_lettered", "error", "reported_at")
    reports = [
        {"shard": row["shard"]} | {name: row[f"shard_{name}"] for name in counted} for row in rows if row["shard"] is not None
    ]
    return {**run_body(rows[0]), "shard_reports": reports}


def _duration_ms(began_at: datetime | None, finished_at: datetime | None) -> int | None:
    if began_at is None or finished_at is None:
        return None
    return max(0, round((finished_at - began_at).total_seconds() * 1000))
