"""Faust apps whose agents read chunks, and running one as part of a process.

The rules for acknowledging live here, once: by hand, after the work, in order. An agent that raises ends the process.
"""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from contextlib import suppress
from typing import Any, Final, TypeAlias

import faust
import structlog
from faust.app.base import BootStrategy
from faust.exceptions import ConsumerNotStarted
from mode.supervisors import CrashingSupervisor
from yarl import URL

from libs.kafka.connection import KafkaConnection
from libs.streaming.chunks import Chunk, ChunkLostError
from libs.streaming.fetching import Chunking, OnGap, chunking_of
from libs.streaming.transport import ChunkConsumer, ChunkTransport

log = structlog.get_logger(__name__)

STOP_SECONDS: Final = 8.0
"""Longest orderly stop; with the broker away the last commit would wait for ever, and what is not committed is read again."""

NO_QUEUE_LIMIT: Final = 1_000
"""Events in a stream's queue. Never reached: the consumer stops asking for a topic long before (`AHEAD`)."""


class Chunks:
    """The chunks of an agent's topics, in the order of each partition, until they are acknowledged."""

    def __init__(self, stream: Any, on_gap: OnGap) -> None:
        stream.enable_acks = False
        self._stream = stream
        self._on_gap = on_gap
        self._delivered: dict[tuple[str, int], int] = {}

    async def unacknowledged(self) -> AsyncIterator[Chunk]:
        """Hand out one chunk after another. A chunk that is not acknowledged comes again after a restart."""
        async for chunk in self._stream:
            self._check_that_nothing_was_lost(chunk)
            if chunk.lost is not None:
                await self._on_gap(chunk.topic, chunk.partition, chunk.lost.wanted, chunk.lost.kept)
            if chunk.records:
                yield chunk
            else:
                self.acknowledge(chunk)

    def acknowledge(self, chunk: Chunk) -> None:
        """Say that the chunk is applied. Nothing else moves an offset, and none moves past a chunk that is not applied yet.

        Chunks may be acknowledged in any order; what can be committed is committed within milliseconds.
        """
        consumer: ChunkConsumer = self._stream.app.consumer
        consumer.acknowledge(chunk)

    def _check_that_nothing_was_lost(self, chunk: Chunk) -> None:
        place = (chunk.topic, chunk.partition)
        if chunk.follows is not None and chunk.follows != self._delivered.get(place, chunk.follows):
            raise ChunkLostError(f"{chunk.topic}/{chunk.partition}: {self._delivered[place]} to {chunk.follows} never arrived")
        self._delivered[place] = chunk.end


async def log_gap(topic: str, partition: int, wanted: int, earliest_kept: int) -> None:
    """Say that offsets are lost, for an app that does nothing else about it."""
    log.error("offsets_lost", topic=topic, partition=partition, wanted=wanted, earliest_kept=earliest_kept)


class _ConsumerOnly(BootStrategy):
    """No producer of Faust's (ours waits for acknowledgements), no web."""

    enable_kafka_producer = False
    enable_web = False


class _App(faust.App):
    """An app that leaves nothing on the disk."""

    BootStrategy = _ConsumerOnly

    def _create_directories(self) -> None:
        """No tables, so no folder either."""


ChunkApp: TypeAlias = faust.App
"""What `create_chunk_app` makes; a name for those who may not know Faust."""


def create_chunk_app(
    connection: KafkaConnection,
    group: str,
    *,
    chunk_records: int,
    chunk_bytes: int = 8_388_608,
    on_gap: OnGap = log_gap,
) -> ChunkApp:
    """Make a Faust app that consumes as `group` and delivers chunks. Nothing connects before `run_app`.

    `on_gap` hears of offsets that retention, or a topic made anew, removed before they were read.
    """
    app = _App(
        group,
        broker=[URL(f"kafka://{server.strip()}") for server in connection.bootstrap_servers.split(",")],
        broker_client_id=connection.client_id,
        env_prefix="KASPARRO_FAUST_",  # nothing of Faust is configured from the environment
        store="memory://",
        web_enabled=False,
        topic_disable_leader=True,
        topic_allow_declare=False,
        stream_wait_empty=False,
        stream_buffer_maxsize=NO_QUEUE_LIMIT,
        stream_recovery_delay=0.0,
    )
    app.finalize()
    app.transport = ChunkTransport(app, Chunking(connection, chunk_records, chunk_bytes, on_gap))
    return app


def add_agent(app: ChunkApp, name: str, topics: Sequence[str], work: Callable[[Chunks], Awaitable[None]]) -> None:
    """Let `work` read the chunks of these topics, one at a time. If it raises, or returns, the process ends."""

    async def agent(stream: Any) -> None:
        await work(Chunks(stream, chunking_of(app.transport).on_gap))
        if not app.should_stop:
            raise RuntimeError(f"the agent {name} ended by itself")

    channel = app.topic(*topics, key_type=None, value_type=None, key_serializer="raw", value_serializer="raw")
    app.agent(channel, name=name, concurrency=1, supervisor_strategy=CrashingSupervisor)(agent)


def applied_position(app: ChunkApp, topic: str, partition: int) -> int | None:
    """Return up to where this worker has applied the partition; None while the partition is not its own."""
    consumer: Any = app.consumer
    try:
        position: int | None = consumer.applied_position(topic, partition)
    except ConsumerNotStarted:
        return None
    return position


async def run_app(app: ChunkApp) -> None:
    """Consume until cancelled. Raises what crashed an agent or the consumer: Faust itself would only log it."""
    try:
        await app.start()
        await app.wait_until_stopped()
    finally:
        await _stop(app)
    if app.crash_reason is not None:
        raise app.crash_reason


async def _stop(app: ChunkApp) -> None:
    stopping = asyncio.ensure_future(app.stop())
    with suppress(asyncio.CancelledError):
        _, late = await asyncio.wait({stopping}, timeout=STOP_SECONDS)
        if late:
            log.warning("stop_timed_out", seconds=STOP_SECONDS)
            stopping.cancel()
