"""Everything the normalizer owns, built from values, so that a test builds the same on topics of its own."""

import asyncio
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from datetime import timedelta
from functools import partial
from typing import Final

import structlog

from libs.contracts.topics import (
    ASSETS_NORMALIZED,
    DEAD_LETTERS,
    GAPS,
    NORMALIZER_GROUP,
    PARTITIONS,
    RUN_EVENTS,
    SETTLEMENTS,
    SOURCE_TOPICS,
)
from libs.kafka.connection import KafkaConnection
from libs.kafka.end_probe import EndProbe, open_end_probe
from libs.kafka.partitioning import partition_of
from libs.kafka.publishing import open_publisher
from libs.kafka.transactions import TransactionalClient
from libs.postgres.schema import wait_until_migrated
from libs.postgres.writing.chunks import Destination
from libs.postgres.writing.history import History
from libs.postgres.writing.sessions import open_writing_pool
from libs.process.clock import Clock
from libs.process.outages import OutageBoard
from libs.process.version import installed_version
from libs.sources.catalogue import PRIORITIES, SOURCES
from libs.sources.source import Source
from libs.streaming.agents import ChunkApp, add_agent, applied_position, create_chunk_app, run_app
from libs.streaming.checkpoints import Checkpoints, open_checkpoints, wait_until_ready
from libs.streaming.progress import membership_of
from libs.telemetry.meters import Meters
from libs.telemetry.tracing import UNRECORDED, Tracer
from services.normalizer.dead_letters import project_dead_letters, project_settlements
from services.normalizer.gaps import GapTeller, project_gaps
from services.normalizer.gauges import Gauges
from services.normalizer.health import STALLED_SECONDS, Health, watching
from services.normalizer.inlets import Inlet
from services.normalizer.keeping import Keeping
from services.normalizer.lanes import Most
from services.normalizer.measures import Measures
from services.normalizer.outlets import Outlets
from services.normalizer.retention import Retention
from services.normalizer.runs import TRANSACTIONAL_ID, RunEnds, project_runs
from services.normalizer.ticks import normalize

log = structlog.get_logger(__name__)

CONNECTIONS: Final = 12
"""Three for the chunks (two are stored while another is published), one for each other agent, for the ends of runs, for health
and for what is old, and some to spare; they are opened on first use."""

STATEMENT_SECONDS: Final = 60.0
FOR_EVER: Final = Keeping()
"""Nothing is forgotten but ticks of the history, whose number of days has a bound."""


@dataclass(frozen=True, slots=True)
class Topics:
    """The names of the topics, and the group whose committed offsets are the checkpoints."""

    raw: Mapping[str, str]
    """Source -> its raw topic."""
    assets: str = ASSETS_NORMALIZED.name
    dead_letters: str = DEAD_LETTERS.name
    runs: str = RUN_EVENTS.name
    settlements: str = SETTLEMENTS.name
    gaps: str = GAPS.name
    group: str = NORMALIZER_GROUP
    partitions: int = PARTITIONS

    @property
    def names(self) -> Sequence[str]:
        """All of them."""
        return [*self.raw.values(), self.assets, self.dead_letters, self.runs, self.settlements, self.gaps]


DECLARED: Final = Topics(raw={source: topics.raw.name for source, topics in SOURCE_TOPICS.items()})


@dataclass(frozen=True, slots=True)
class Limits:
    """How much at a time, and how patiently."""

    chunk_records: int = 5_000
    chunk_bytes: int = 8_388_608
    retry_ceiling: timedelta = timedelta(seconds=10)


@dataclass(frozen=True, slots=True)
class RunsPartition:
    """What this worker holds of etl.runs, which has one partition."""

    app: ChunkApp
    probe: EndProbe
    topic: str

    def applied(self) -> int | None:
        """See `services.normalizer.runs.Ownership`."""
        return applied_position(self.app, self.topic, 0)

    async def log_end(self) -> int:
        """See `services.normalizer.runs.Ownership`."""
        return (await self.probe.ends(self.topic))[0]

    async def ends(self, topic: str) -> Mapping[int, int]:
        """See `services.normalizer.runs.Ownership`."""
        return await self.probe.ends(topic)


async def run_normalizer(
    connection: KafkaConnection,
    database_url: str,
    clock: Clock,
    *,
    topics: Topics = DECLARED,
    sources: Mapping[str, Source] = SOURCES,
    limits: Limits = Limits(),
    keeping: Keeping = FOR_EVER,
    health: Health | None = None,
    meters: Meters | None = None,
    tracer: Tracer = UNRECORDED,
) -> None:
    """Normalize until cancelled. Waits for a migrated database and for the topics first; a bug leaves as its own error.

    `health` and `meters` are kept up to date all the while, for whoever serves them.
    """
    health = health or Health(clock, OutageBoard(clock), topics.group, STALLED_SECONDS)
    meters = meters or Meters("normalizer", installed_version())
    async with (
        open_writing_pool(
            database_url, application="kasparro-normalizer", connections=CONNECTIONS, statement_seconds=STATEMENT_SECONDS
        ) as pool,
        open_checkpoints(connection, topics.group) as checkpoints,
        open_checkpoints(connection, topics.group) as watched,
        open_publisher(connection) as publisher,
    ):
        measures = Measures(meters)
        sending = (publisher, topics.assets, topics.dead_letters)
        outlets = Outlets(pool, *sending, clock, limits.retry_ceiling, health.board, measures, tracer)
        meters.read_by(Gauges(health, outlets.unapplied))
        async with watching(health, outlets, watched):
            health.phase = "waiting for Kafka and the topics"
            await wait_until_ready(checkpoints, topics.names, clock)
            health.phase = "waiting for Postgres to be migrated"
            await outlets.through_postgres(lambda: wait_until_migrated(pool, clock))
            tables = {name: sources[name].raw_table for name in topics.raw}
            async with asyncio.TaskGroup() as tasks:
                history = History(clock.utc, keeping.ticks, keeping.candles)
                inlets = {topic: _inlet(sources[name], topics.partitions, history) for name, topic in topics.raw.items()}
                tasks.create_task(Retention(outlets, tables, keeping.raw, history).keep())
                tasks.create_task(_serve(connection, outlets, checkpoints, health, topics=topics, inlets=inlets, limits=limits))


async def _serve(
    connection: KafkaConnection,
    outlets: Outlets,
    checkpoints: Checkpoints,
    health: Health,
    *,
    topics: Topics,
    inlets: Mapping[str, Inlet],
    limits: Limits,
) -> None:
    projected = asyncio.Event()
    teller = GapTeller(outlets, topics.gaps, topics.group, {topic: name for name, topic in topics.raw.items()})
    app = create_chunk_app(
        *(connection, topics.group),
        chunk_records=limits.chunk_records,
        chunk_bytes=limits.chunk_bytes,
        on_gap=teller.tell,
    )
    add_agent(
        app,
        "normalize",
        list(inlets),
        partial(normalize, inlets=inlets, outlets=outlets, most=Most(limits.chunk_records, limits.chunk_bytes)),
    )
    add_agent(app, "project-runs", [topics.runs], partial(project_runs, outlets=outlets, projected=projected))
    add_agent(app, "project-dead-letters", [topics.dead_letters], partial(project_dead_letters, outlets=outlets))
    add_agent(app, "project-settlements", [topics.settlements], partial(project_settlements, outlets=outlets))
    add_agent(app, "project-gaps", [topics.gaps], partial(project_gaps, outlets=outlets))
    async with _run_ends_client(connection, topics.group) as client, open_end_probe(connection) as probe:
        ownership = RunsPartition(app, probe, topics.runs)
        ends = RunEnds(outlets, client, checkpoints, ownership, topics.raw, topics.runs, projected)
        log.info("normalizer_started", topics=list(inlets), group=topics.group)
        health.membership, health.phase = partial(membership_of, app), None
        async with asyncio.TaskGroup() as tasks:
            tasks.create_task(run_app(app))
            tasks.create_task(ends.keep_ending())


@asynccontextmanager
async def _run_ends_client(connection: KafkaConnection, group: str) -> AsyncIterator[TransactionalClient]:
    client = TransactionalClient(connection, f"{group}-{TRANSACTIONAL_ID}")
    try:
        yield client
    finally:
        await client.close()


def _inlet(source: Source, partitions: int, history: History) -> Inlet:
    def place_of(asset_uid: str) -> int:
        return partition_of(asset_uid.encode("utf-8", "replace"), partitions)

    return Inlet(source, Destination(source.name, source.raw_table, PRIORITIES, place_of, history))
