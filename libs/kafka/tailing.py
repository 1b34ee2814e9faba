"""Following a topic without a group: committed records only, in order a partition, through outages."""

import asyncio
import time
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from enum import Enum
from typing import NamedTuple

import structlog
from aiokafka import AIOKafkaConsumer, ConsumerRecord

from libs.kafka.clients import METADATA_SECONDS, OFFSETS_SECONDS, close_consumer, groupless_consumer, partitions_of_topic
from libs.kafka.connection import KafkaConnection
from libs.kafka.end_probe import open_end_probe
from libs.kafka.errors import KafkaUnreachableError, telling_outages

log = structlog.get_logger(__name__)

POLL_SECONDS = 0.5
SLICE_MS = 25
"""The client does not return when it has only passed markers, so its position is looked at this often."""
AT_ONCE = 100
"""Records that a read returns at most. A fetch brings thousands, packed: unpacking them all kept the loop for half a second."""
RETRY_SECONDS = 1.0


class Start(Enum):
    """Where a tail begins."""

    BEGINNING = "earliest"
    END = "latest"


class TopicRecord(NamedTuple):
    """A record as read. `timestamp_ms` is Kafka's, milliseconds since 1970."""

    topic: str
    partition: int
    offset: int
    key: bytes | None
    value: bytes | None
    headers: tuple[tuple[str, bytes], ...]
    timestamp_ms: int


@dataclass(slots=True)
class Tail:
    """A place in each partition of one topic. Made by `open_tail`; one task reads it.

    `async for records in tail` yields non-empty lists for ever and waits outages out. `read` is one step of that.
    """

    connection: KafkaConnection
    topic: str
    start: Start
    metadata_seconds: float = METADATA_SECONDS
    positions: dict[int, int] = field(default_factory=dict)
    """Partition -> the offset read next; passes transaction markers, so it reaches the end of a quiet topic.

    Partitions that are added to the topic come in, and are read from their beginning: all that is in them is news.
    """
    ready: asyncio.Event = field(default_factory=asyncio.Event)
    """Set once every partition has its place: what is published after that will be seen, Start.END or not."""
    _consumer: AIOKafkaConsumer | None = None
    _away: bool = False

    def __aiter__(self) -> AsyncIterator[list[TopicRecord]]:
        return self._following()

    async def read(self, wait_seconds: float = POLL_SECONDS) -> list[TopicRecord]:
        """Return what is there, AT_ONCE at most, after at most about `wait_seconds`; nothing in an outage.

        Says when one begins and ends. Returns early, with nothing, when it has passed a transaction's marker: somebody may be
        waiting for the position.
        """
        await asyncio.sleep(0)  # what is fetched already comes without a wait, and the others on the loop want their turn
        try:
            with telling_outages():
                consumer = await self._opened()
                if not (consumer.partitions_for_topic(self.topic) or set()) <= self.positions.keys():
                    await self._take_places(consumer)
                until = time.monotonic() + wait_seconds
                before = dict(self.positions)
                while True:
                    fetched = await consumer.getmany(timeout_ms=min(SLICE_MS, round(1_000 * wait_seconds)), max_records=AT_ONCE)
                    await self._remember_positions(consumer)
                    if fetched or self.positions != before or time.monotonic() >= until:
                        break
                records = [topic_record(one) for several in fetched.values() for one in several]
        except KafkaUnreachableError as error:
            await self._lost(error)
            return []
        return records

    async def close(self) -> None:
        """Leave; `positions` stay."""
        if self._consumer is not None:
            consumer, self._consumer = self._consumer, None
            await close_consumer(consumer)

    async def _following(self) -> AsyncIterator[list[TopicRecord]]:
        while True:
            if records := await self.read():
                yield records

    async def _remember_positions(self, consumer: AIOKafkaConsumer) -> None:
        """Does not give way while positions are known, so a reader that is cancelled loses nothing it had fetched."""
        async with asyncio.timeout(OFFSETS_SECONDS):
            for place in consumer.assignment():
                self.positions[place.partition] = await consumer.position(place)

    async def _opened(self) -> AIOKafkaConsumer:
        if self._consumer is not None:
            return self._consumer
        consumer = groupless_consumer(
            self.connection, self.start.value, isolation="read_committed", metadata_seconds=self.metadata_seconds
        )
        try:
            await consumer.start()
            await self._take_places(consumer)
        except BaseException:
            await close_consumer(consumer)
            raise
        self._consumer = consumer
        self.ready.set()
        if self._away:
            self._away = False
            log.info("tail_reconnected", topic=self.topic)
        return consumer

    async def _take_places(self, consumer: AIOKafkaConsumer) -> None:
        """Go on in each partition where we were; begin at `start`, and in one that came later at its beginning."""
        places = await partitions_of_topic(consumer, self.topic)
        consumer.assign(places)
        for place in places:
            if place.partition in self.positions:
                consumer.seek(place, self.positions[place.partition])
                continue
            async with asyncio.timeout(OFFSETS_SECONDS):  # wait_for of Python 3.11 can swallow a cancellation
                if self.ready.is_set():
                    await consumer.seek_to_beginning(place)
                self.positions[place.partition] = await consumer.position(place)

    async def _lost(self, error: KafkaUnreachableError) -> None:
        if not self._away:
            self._away = True
            log.warning("tail_lost_kafka", topic=self.topic, error=str(error))
        await self.close()
        await asyncio.sleep(RETRY_SECONDS)


@asynccontextmanager
async def open_tail(
    connection: KafkaConnection, topic: str, *, start: Start, metadata_seconds: float = METADATA_SECONDS
) -> AsyncIterator[Tail]:
    """Open a tail; it connects on the first read. With Start.END, what is published once `ready` is set will be read."""
    tail = Tail(connection, topic, start, metadata_seconds)
    try:
        yield tail
    finally:
        await tail.close()


async def read_to_end(connection: KafkaConnection, topic: str, *, timeout_seconds: float = 30.0) -> list[TopicRecord]:
    """Read every committed record up to where the topic ends now, for state that is small enough to hold.

    A transaction that is open below that end is waited for, so nothing that was committed before the call is missed.
    Raises KafkaUnreachableError when that took too long.
    """
    records: list[TopicRecord] = []
    async with open_end_probe(connection) as probe, open_tail(connection, topic, start=Start.BEGINNING) as tail:
        ends = await probe.ends(topic)
        try:
            async with asyncio.timeout(timeout_seconds):
                while not tail.ready.is_set() or any(tail.positions.get(partition, 0) < end for partition, end in ends.items()):
                    records += await tail.read(0.1)
        except TimeoutError as error:
            raise KafkaUnreachableError(f"{topic} could not be read to its end in {timeout_seconds:g} s") from error
    return [record for record in records if record.offset < ends.get(record.partition, 0)]


def latest_values(records: Sequence[TopicRecord]) -> dict[bytes, bytes]:
    """Return the newest value of each key, as compaction would leave it."""
    newest: dict[bytes, bytes] = {}
    for record in records:
        if record.key is None:
            continue
        newest.pop(record.key, None)
        if record.value is not None:
            newest[record.key] = record.value
    return newest


def topic_record(one: ConsumerRecord) -> TopicRecord:
    """Take what matters of a record as the client gives it."""
    return TopicRecord(one.topic, one.partition, one.offset, one.key, one.value, tuple(one.headers), one.timestamp)
