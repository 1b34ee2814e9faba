"""A Faust transport that hands an agent chunks: one event for all the records of one partition in a fetch.

Faust spends 66 microseconds on each message it delivers; a chunk of thousands costs the same as one message. What Faust
does with offsets is replaced as well, because it acknowledges on paths where nothing was handled (a `finally`, a message
skipped in a rebalance): here only `ChunkConsumer.acknowledge` moves a committed offset, and it is called by hand.
"""

import asyncio
from collections import Counter, defaultdict, deque
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

import structlog
from aiokafka import AIOKafkaConsumer
from aiokafka.coordinator.assignors.range import RangePartitionAssignor
from faust.transport.drivers import aiokafka as driver
from faust.types import TP, ConsumerMessage
from mode import Service

from libs.kafka.connection import KafkaConnection
from libs.streaming.chunks import Chunk, Record, pack

log = structlog.get_logger(__name__)

SESSION_TIMEOUT_MS: Final = 10_000
"""A dead worker's partitions are taken over after this."""

REQUEST_TIMEOUT_MS: Final = 30_000
"""Longer than a rebalance: joining the group is one request that lasts until every member has joined."""

NEVER_MS: Final = 2**31 - 1
"""The broker must not take a partition away because the work waits: an outage of the database may last."""

IDLE_POLL_SECONDS: Final = 0.25
"""How long an empty poll lasts; then positions are looked at, so that a trailing marker is committed soon."""

BUSY_POLL_SECONDS: Final = 0.02
"""How long it lasts while some topic is held back, so that its next chunk is asked for as soon as there is room."""

AHEAD: Final = 4
"""Chunks of one topic that may wait for their acknowledgement: being read, stored and published, and one ready."""

FETCH_BYTES: Final = 2_097_152
"""Most that is fetched of a partition at a time, compressed: some chunks' worth, so that chunks in a backlog are full."""


@dataclass(slots=True)
class _Reading:
    """How far a partition has been fetched, in which epoch; `moved` until a chunk has been made of it."""

    end: int | None
    epoch: object
    moved: bool = True


class ChunkConsumerThread(driver.AIOKafkaConsumerThread):
    """The thread that talks to Kafka: fetches, keeps the group membership, commits."""

    def __post_init__(self) -> None:
        super().__post_init__()
        self._reading: dict[TP, _Reading] = {}

    def _create_worker_consumer(self, transport: driver.Transport) -> AIOKafkaConsumer:
        ours = _chunked(transport)
        options = ours.connection.options() | {"request_timeout_ms": REQUEST_TIMEOUT_MS}
        return AIOKafkaConsumer(
            **options,
            group_id=self.app.conf.id,
            isolation_level="read_committed",
            partition_assignment_strategy=[RangePartitionAssignor],
            enable_auto_commit=False,
            auto_offset_reset="earliest",
            max_poll_records=ours.chunk_records,
            max_poll_interval_ms=NEVER_MS,
            session_timeout_ms=SESSION_TIMEOUT_MS,
            heartbeat_interval_ms=SESSION_TIMEOUT_MS // 4,
            rebalance_timeout_ms=SESSION_TIMEOUT_MS,
            fetch_max_wait_ms=100,
            max_partition_fetch_bytes=FETCH_BYTES,
            metadata_max_age_ms=30_000,
        )

    async def on_partitions_assigned(self, assigned: set[TP], generation_id: int = 0) -> None:
        """Start afresh; the committed offsets are sought before anything is delivered."""
        self._reading.clear()
        await super().on_partitions_assigned(assigned, generation_id)

    async def seek_to_committed(self) -> Mapping[TP, int]:
        """Go back to the committed offsets; what was fetched and not acknowledged is fetched again."""
        committed: Mapping[TP, int] = await self.call_thread(self._seek_to_committed)
        return committed

    async def _seek_to_committed(self) -> Mapping[TP, int]:
        consumer = self._ensure_consumer()
        committed: Mapping[TP, int] = await consumer.seek_to_committed()
        for tp, offset in committed.items():
            self._reading[tp] = _Reading(offset or None, _epoch_of(_state_of(consumer, tp)))
        return committed

    async def _fetch_records(
        self,
        consumer: AIOKafkaConsumer,
        active_partitions: set[TP],
        timeout: float | None = None,  # noqa: ASYNC109 - Faust's signature
        max_records: int | None = None,
    ) -> Mapping[TP, list[Chunk]]:
        records = await super()._fetch_records(consumer, active_partitions, timeout=timeout, max_records=max_records)
        # From here on nothing awaits, so positions are those of the records.
        chunks: dict[TP, list[Chunk]] = {}
        for tp in active_partitions:
            state = _state_of(consumer, tp)
            if state is not None and state.has_valid_position and (packed := self._chunks_of(tp, records.get(tp, ()), state)):
                chunks[tp] = packed
        return chunks

    def _chunks_of(self, tp: TP, records: Sequence[Record], state: Any) -> list[Chunk]:
        epoch = _epoch_of(state)
        reading = self._reading.setdefault(tp, _Reading(None, epoch))
        relocated = reading.epoch is not epoch
        if relocated:
            self._tell_of_gap(tp, reading.end, records[0].offset if records else state.position)
            reading.end, reading.epoch, reading.moved = None, epoch, True
        if not (records or relocated) and (reading.end is None or state.position <= reading.end):
            return []
        first = records[0].offset if records else state.position
        start = first if reading.end is None else reading.end
        follows = None if reading.moved else reading.end
        reading.end, reading.moved = state.position, False
        largest = _chunked(self.transport).chunk_bytes
        return pack(tp.topic, tp.partition, records, start=start, end=state.position, follows=follows, largest_bytes=largest)

    def _tell_of_gap(self, tp: TP, wanted: int | None, kept: int) -> None:
        if wanted is None or wanted == kept:
            return
        log.error("offset_out_of_range", topic=tp.topic, partition=tp.partition, wanted=wanted, earliest_kept=kept)
        _chunked(self.transport).on_gap(tp.topic, tp.partition, wanted, kept)


def _state_of(consumer: AIOKafkaConsumer, tp: TP) -> Any:
    """Where a partition stands, or None when it is not ours. `consumer.position()` would wait, and others would get between."""
    subscription = consumer._subscription.subscription  # noqa: SLF001 - there is no public way that does not wait
    return None if subscription is None or subscription.assignment is None else subscription.assignment.state_value(tp)


def _epoch_of(state: Any) -> object:
    """Return what is another object whenever aiokafka has moved the position by itself: the wanted offset was gone."""
    return state._position_fut  # noqa: SLF001 - aiokafka tells of it in its log only


class ChunkConsumer(driver.Consumer):
    """Delivers chunks to the agents, and commits what they acknowledge at once."""

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self._applied: dict[TP, int] = {}
        self._delivered: defaultdict[TP, deque[Chunk]] = defaultdict(deque)
        self._done: set[Chunk] = set()
        self._ahead: Counter[str] = Counter()
        self._acknowledged = asyncio.Event()

    def _new_consumer_thread(self) -> ChunkConsumerThread:
        return ChunkConsumerThread(self, loop=self.loop, beacon=self.beacon)

    async def _getmany(  # type: ignore[override]  # chunks in place of records: what this transport is for
        self,
        active_partitions: set[TP],
        timeout: float,  # noqa: ARG002, ASYNC109 - Faust's signature, and its second is too long to look at positions
    ) -> Mapping[TP, list[Chunk]]:
        ready = {tp for tp in active_partitions if self._ahead[tp.topic] < AHEAD}
        if not ready:
            await asyncio.sleep(BUSY_POLL_SECONDS)
            return {}
        longest = IDLE_POLL_SECONDS if len(ready) == len(active_partitions) else BUSY_POLL_SECONDS
        chunks: Mapping[TP, list[Chunk]] = await self._thread.getmany(ready, longest)
        return chunks

    def _to_message(self, tp: TP, chunk: Chunk) -> ConsumerMessage:
        """Make the event of a chunk; its offset is its last one, so that Faust sees offsets grow."""
        if chunk.follows is None:
            self._forget_position(TP(*tp), chunk)
        self._delivered[TP(*tp)].append(chunk)
        self._ahead[chunk.topic] += 1
        body: Any = chunk  # Faust says bytes; with the raw codec it passes on whatever it is given
        return ConsumerMessage(
            chunk.topic, chunk.partition, chunk.end - 1, 0.0, 0, None, None, body, None, 0, 0, TP(*tp),
            generation_id=self.app.consumer_generation_id,
        )  # fmt: skip

    def _forget_position(self, tp: TP, chunk: Chunk) -> None:
        """Faust drops what lies before where it was: a topic that was made anew begins there."""
        self._read_offset[tp] = None
        committed = self._committed_offset[tp]
        if committed is not None and chunk.start < committed:
            self._committed_offset[tp] = None

    async def perform_seek(self) -> None:
        """Go back to the committed offsets; whatever was delivered and not acknowledged comes again."""
        self._delivered.clear()
        self._done.clear()
        self._ahead.clear()
        await super().perform_seek()

    def acknowledge(self, chunk: Chunk) -> None:
        """Say that the chunk is applied. What is committed is the end of the last chunk before which all are applied.

        A chunk from before a rebalance is not ours to acknowledge any more: it comes again, here or elsewhere.
        """
        tp = TP(chunk.topic, chunk.partition)
        waiting = self._delivered[tp]
        if chunk not in waiting:
            return
        self._done.add(chunk)
        while waiting and waiting[0] in self._done:
            first = waiting.popleft()
            self._done.discard(first)
            self._ahead[chunk.topic] -= 1
            self._applied[tp] = first.end
        self._acknowledged.set()

    def applied_position(self, topic: str, partition: int) -> int | None:
        """Return up to where the partition has been applied, None while it is not ours."""
        tp = TP(topic, partition)
        if tp not in self.assignment():
            return None
        return self._applied.get(tp) or self._committed_offset[tp] or 0

    @Service.task
    async def _commit_handler(self) -> None:
        while not self.should_stop:
            if await self.wait_for_stopped(self._acknowledged.wait()):
                return
            self._acknowledged.clear()
            await self.commit()
            if any(self._should_commit(tp, offset) for tp, offset in self._applied.items()):
                # Another commit was under way, or the group was rebalancing; try again soon.
                await self.sleep(0.1)
                self._acknowledged.set()

    async def on_partitions_revoked(self, revoked: set[TP]) -> None:
        """Forget what belongs to another worker now; the rest of a chunk at work is applied twice, which changes nothing."""
        await super().on_partitions_revoked(revoked)
        for tp in revoked:
            self._applied.pop(tp, None)

    def _filter_tps_with_pending_acks(self, topics: Any = None) -> Iterator[TP]:
        return (tp for tp in self._applied if topics is None or tp in topics or tp.topic in topics)

    def _new_offset(self, tp: TP) -> int | None:
        return self._applied.get(tp)

    async def _add_gap(self, tp: TP, offset_from: int, offset_to: int) -> None:
        """Nothing to do: chunks know their positions."""

    def verify_event_path(self, now: float, tp: TP) -> None:
        """Say nothing of slow work: an outage may last, and the work itself logs and reports it."""


class ChunkTransport(driver.Transport):
    """Faust's way to Kafka, in chunks. `on_gap(topic, partition, wanted, earliest_kept)` hears of offsets lost to retention."""

    Consumer = ChunkConsumer

    def __init__(
        self,
        app: Any,
        connection: KafkaConnection,
        *,
        chunk_records: int,
        chunk_bytes: int,
        on_gap: Callable[[str, int, int, int], None],
    ) -> None:
        super().__init__(app.conf.broker_consumer, app)
        self.connection = connection
        self.chunk_records = chunk_records
        self.chunk_bytes = chunk_bytes
        self.on_gap = on_gap


def _chunked(transport: object) -> ChunkTransport:
    """Narrow the transport that Faust hands around to ours."""
    if not isinstance(transport, ChunkTransport):
        raise TypeError(f"chunks need the ChunkTransport, not {transport!r}")
    return transport
