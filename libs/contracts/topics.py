"""Every topic, declared once: the job that creates topics, the services, the schemas and the documentation all read this.

Adding a source adds its name to SOURCE_NAMES.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import timedelta
from typing import Any, Literal

from pydantic import BaseModel, TypeAdapter

from libs.contracts.asset import Asset
from libs.contracts.commands import PollCommand
from libs.contracts.cursors import CURSOR
from libs.contracts.gaps import GAP
from libs.contracts.incidents import Incident
from libs.contracts.raw_tick import RawTick
from libs.contracts.run_events import RUN_EVENT
from libs.contracts.settlements import Settlement

PARTITIONS = 6
"""Default of the raw topics, assets.normalized, the commands and the dead letters. The first two must stay equal: one
asset_uid is one partition number everywhere (murmur2), so related partitions are assigned together."""

SEGMENT_LASTS = timedelta(days=1)
"""Kafka deletes whole segments: a record may outlive its topic's `kept` by as long as a segment is written to."""

NORMALIZER_GROUP = "kasparro-normalizer"
"""The consumer group whose committed offsets are the checkpoints."""


def producer_group(source: str) -> str:
    """Return the consumer group in which the replicas of a source's producer share its commands."""
    return f"kasparro-producer-{source}"


@dataclass(frozen=True, slots=True)
class Topic:
    """One topic. `kept` is None for a compacted topic; `model` is None where the value is not ours to read."""

    name: str
    summary: str
    key: str
    model: type[BaseModel] | TypeAdapter[Any] | None
    writers: tuple[str, ...]
    readers: tuple[str, ...]
    kept: timedelta | None
    partitions: int = PARTITIONS
    largest_message: int = 1_048_576

    @property
    def cleanup(self) -> Literal["delete", "compact"]:
        """Kafka's cleanup.policy."""
        return "compact" if self.kept is None else "delete"


@dataclass(frozen=True, slots=True)
class SourceTopics:
    """The two topics that a source has."""

    raw: Topic
    commands: Topic


def source_topics(source: str) -> SourceTopics:
    """Declare the topics of a source."""
    return SourceTopics(
        raw=Topic(
            name=f"ticks.raw.{source}",
            summary=f"Every changed row of {source}'s answers, as the provider sent it",
            key="asset_uid",
            model=RawTick,
            writers=(f"producer-{source}",),
            readers=("normalizer",),
            kept=timedelta(days=7),
        ),
        commands=Topic(
            name=f"etl.commands.{source}",
            summary=f"Requests to poll {source}, or one shard of it",
            key="shard",
            model=PollCommand,
            writers=("query", f"producer-{source}"),
            readers=(f"producer-{source}",),
            kept=timedelta(days=1),
        ),
    )


SOURCE_NAMES = ("coingecko", "coinpaprika", "csv", "binance")
"""Those that have topics. An optional one has them too: what its name in EXTRA_SOURCES starts finds everything there."""

SOURCE_TOPICS: Mapping[str, SourceTopics] = {source: source_topics(source) for source in SOURCE_NAMES}

ASSETS_NORMALIZED = Topic(
    name="assets.normalized",
    summary="The canonical asset of each asset_uid, newest kept for ever; a tombstone means that no listing is left",
    key="asset_uid",
    model=Asset,
    writers=("normalizer",),
    readers=("query", "subscribers"),
    kept=None,
)
RUN_EVENTS = Topic(
    name="etl.runs",
    summary="What happened to each run, in order",
    key="run_id",
    model=RUN_EVENT,
    writers=("query", "producers", "normalizer"),
    readers=("normalizer", "query"),
    kept=timedelta(days=30),
    partitions=1,
)
CURSORS = Topic(
    name="etl.cursors",
    summary="What each producer has already published, the requests it has counted, and its schedule",
    key="source/shard",
    model=CURSOR,
    writers=("producers",),
    readers=("producers", "query"),
    kept=None,
    partitions=1,
    largest_message=8_388_608,
)
DEAD_LETTERS = Topic(
    name="ticks.dead-letter",
    summary="Records that can never be applied, their bytes untouched; the headers say why and where they came from",
    key="as the original",
    model=None,
    writers=("producers", "normalizer"),
    readers=("normalizer", "operator"),
    kept=timedelta(days=30),
    largest_message=2_097_152,  # the largest raw record, and its headers
)
SETTLEMENTS = Topic(
    name="etl.settlements",
    summary="Which dead letters have been re-driven or dropped",
    key="partition of ticks.dead-letter",
    model=Settlement,
    writers=("operator",),
    readers=("normalizer", "operator"),
    kept=None,
    partitions=1,
    largest_message=8_388_608,
)
GAPS = Topic(
    name="etl.gaps",
    summary="What is known to be missing: runs that were missed, offsets that retention removed unread",
    key="source",
    model=GAP,
    writers=("producers", "normalizer"),
    readers=("normalizer", "subscribers"),
    kept=timedelta(days=30),
    partitions=1,
)
INCIDENTS = Topic(
    name="etl.incidents",
    summary="What operators must know of: each incident from when it was opened, and that it is over",
    key="kind/subject",
    model=Incident,
    writers=("query",),
    readers=("query", "subscribers"),
    kept=None,
    partitions=1,
)

TOPICS: tuple[Topic, ...] = (
    *(topics.raw for topics in SOURCE_TOPICS.values()),
    ASSETS_NORMALIZED,
    *(topics.commands for topics in SOURCE_TOPICS.values()),
    RUN_EVENTS,
    CURSORS,
    DEAD_LETTERS,
    SETTLEMENTS,
    GAPS,
    INCIDENTS,
)
