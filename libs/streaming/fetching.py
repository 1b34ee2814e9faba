"""The thread that talks to Kafka for Faust: it fetches, keeps the group membership and commits, and packs what it fetched."""

from collections.abc import Awaitable, Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final, TypeAlias

import structlog
from aiokafka import AIOKafkaConsumer
from aiokafka.coordinator.assignors.range import RangePartitionAssignor
from aiokafka.errors import KafkaError
from faust.transport.drivers import aiokafka as driver
from faust.types import TP

from libs.kafka.connection import KafkaConnection
from libs.kafka.decoding import as_read, read_any_header_name
from libs.kafka.errors import is_outage
from libs.streaming.chunks import Chunk, Lost, Record, pack

log = structlog.get_logger(__name__)

SESSION_TIMEOUT_MS: Final = 10_000
"""A dead worker's partitions are taken over after this."""

REQUEST_TIMEOUT_MS: Final = 30_000
"""Longer than a rebalance: joining the group is one request that lasts until every member has joined."""

NEVER_MS: Final = 2**31 - 1
"""The broker must not take a partition away because the work waits: an outage of the database may last."""

FETCH_BYTES: Final = 1_048_576
"""Most that is fetched of a partition at a time, compressed: two chunks' worth, so that chunks in a backlog are full."""


OnGap: TypeAlias = Callable[[str, int, int, int], Awaitable[None]]
"""`on_gap(topic, partition, wanted, earliest_kept)` hears of offsets that were gone before they were read.

It is awaited in the agent, before the chunk behind the gap is handed out: as long as it has not returned, the checkpoint
stays in front of the gap, and a worker that dies meanwhile finds the gap again.
"""


@dataclass(frozen=True, slots=True)
class Chunking:
    """How chunks are made, and who hears of gaps."""

    connection: KafkaConnection
    records: int
    bytes: int
    on_gap: OnGap


_LEFT: Final = object()
"""The epoch of a place that aiokafka has left already, or that Kafka no longer knows: none that it reads in."""


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
        self._chunking = chunking_of(self.transport)
        self._reading: dict[TP, _Reading] = {}
        self._places: dict[TP, int] = {}

    def _create_worker_consumer(self, transport: driver.Transport) -> AIOKafkaConsumer:
        chunking = chunking_of(transport)
        read_any_header_name()
        options = chunking.connection.options() | {"request_timeout_ms": REQUEST_TIMEOUT_MS}
        return AIOKafkaConsumer(
            **options,
            group_id=self.app.conf.id,
            isolation_level="read_committed",
            partition_assignment_strategy=[RangePartitionAssignor],
            enable_auto_commit=False,
            auto_offset_reset="earliest",
            max_poll_records=chunking.records,
            max_poll_interval_ms=NEVER_MS,
            session_timeout_ms=SESSION_TIMEOUT_MS,
            heartbeat_interval_ms=SESSION_TIMEOUT_MS // 4,
            rebalance_timeout_ms=SESSION_TIMEOUT_MS,
            fetch_max_wait_ms=100,
            max_partition_fetch_bytes=FETCH_BYTES,
            value_deserializer=as_read,
            metadata_max_age_ms=30_000,
        )

    async def check_client(self) -> None:
        """Raise what keeps us from fetching, or out of the group, for good; aiokafka holds both back until somebody asks.

        To be called all the time and not with a fetch: who is not in the group has nothing to fetch, and a client whose
        fetching has died looks like an idle one.
        """
        client = self._consumer
        coordinator = None if client is None else client._coordinator  # noqa: SLF001 - no public way to ask
        if client is None or client._closed or coordinator is None:  # noqa: SLF001 - the same
            return  # still connecting, or leaving
        if (fetching := client._fetcher.error_future).done():  # noqa: SLF001 - the same
            fetching.result()
            raise RuntimeError("aiokafka has stopped to fetch, and does not say why")
        try:
            coordinator.check_errors()
        except Exception as error:
            if not is_outage(error):
                raise
            log.warning("group_unreachable", error=repr(error))

    async def on_thread_stop(self) -> None:
        """Leave the group, and close the connections also when fetching had died: aiokafka raises that once more here."""
        try:
            await super().on_thread_stop()
        except KafkaError as error:
            log.warning("client_not_stopped_in_order", error=repr(error))
            await self._ensure_consumer()._client.close()  # noqa: SLF001 - stop() has not come to it, and does nothing twice

    async def on_partitions_assigned(self, assigned: set[TP], generation_id: int = 0) -> None:
        """Start afresh; the committed offsets are sought before anything is delivered."""
        self._reading.clear()
        await super().on_partitions_assigned(assigned, generation_id)

    async def seek_to_committed(self) -> Mapping[TP, int]:
        """Go back to the committed offsets; what was fetched and not acknowledged is fetched again."""
        committed: Mapping[TP, int] = await self.call_thread(self._seek_to_committed)
        return committed

    async def _seek_to_committed(self) -> Mapping[TP, int | None]:
        consumer = self._ensure_consumer()
        committed: Mapping[TP, int | None] = await consumer.seek_to_committed()
        for tp, offset in committed.items():
            if offset == 0:  # aiokafka passes this one over, and may have moved on from it already
                consumer.seek(tp, 0)
            if (state := _state_of(consumer, tp)) is not None:
                is_there = offset is None or (state.has_valid_position and state.position == offset)
                self._reading[tp] = self._reading_from(tp, offset, _epoch_of(state) if is_there else _LEFT)
        return committed

    def _reading_from(self, tp: TP, committed: int | None, epoch: object) -> _Reading:
        """Where to go on. Kafka forgets a group's offsets with their topic: only who committed them can tell of the gap then.

        So it is with a topic that is deleted and made anew, once a worker has seen it gone. Should another worker have gone
        on from there meanwhile, the gap told begins too early, and it is one all the same.
        """
        if committed is None:
            return _Reading(self._places.get(tp), _LEFT if tp in self._places else epoch)
        self._places[tp] = committed
        return _Reading(committed, epoch)

    async def _commit(self, offsets: Mapping[TP, int]) -> bool:
        landed: bool = await super()._commit(offsets)
        if landed:
            self._places.update(offsets)
        return landed

    async def _fetch_records(
        self,
        consumer: AIOKafkaConsumer,
        active_partitions: set[TP],
        timeout: float | None = None,  # noqa: ASYNC109 - Faust's signature
        max_records: int | None = None,
    ) -> Mapping[TP, list[Chunk]]:
        records = await super()._fetch_records(consumer, active_partitions, timeout=timeout, max_records=max_records)
        _put_last(consumer, records)
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
        lost = _lost(reading.end, records[0].offset if records else state.position) if relocated else None
        if relocated:
            reading.end, reading.epoch, reading.moved = None, epoch, True
        if not (records or relocated) and (reading.end is None or state.position <= reading.end):
            return []
        first = records[0].offset if records else state.position
        start = first if reading.end is None else reading.end
        follows = None if reading.moved else reading.end
        reading.end, reading.moved = state.position, False
        return pack(
            *(tp.topic, tp.partition, records),
            start=start,
            end=state.position,
            follows=follows,
            largest_bytes=self._chunking.bytes,
            lost=lost,
        )


def _put_last(consumer: AIOKafkaConsumer, served: Iterable[TP]) -> None:
    """Let the others have their turn: aiokafka hands out all that it holds of one partition before it comes to the next.

    A fetch holds several chunks of a partition, which are stored one after another: nobody would work at another meanwhile.
    """
    held = consumer._fetcher._records  # noqa: SLF001 - it takes them in the order of this dictionary
    for tp in served:
        if tp in held:
            held[tp] = held.pop(tp)


def _lost(wanted: int | None, kept: int) -> Lost | None:
    """What lies between; nothing when the group had no place of its own yet."""
    return None if wanted is None or wanted == kept else Lost(wanted, kept)


def chunking_of(transport: object) -> Chunking:
    """Return what the transport that Faust hands around was made with."""
    chunking = getattr(transport, "chunking", None)
    if not isinstance(chunking, Chunking):
        raise TypeError(f"chunks need a ChunkTransport, not {transport!r}")
    return chunking


def _state_of(consumer: AIOKafkaConsumer, tp: TP) -> Any:
    """Where a partition stands, or None when it is not ours. `consumer.position()` would wait, and others would get between."""
    subscription = consumer._subscription.subscription  # noqa: SLF001 - there is no public way that does not wait
    return None if subscription is None or subscription.assignment is None else subscription.assignment.state_value(tp)


def _epoch_of(state: Any) -> object:
    """Return what is another object whenever aiokafka has moved the position by itself: the wanted offset was gone."""
    return state._position_fut  # noqa: SLF001 - aiokafka tells of it in its log only
