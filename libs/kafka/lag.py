"""How far a consumer group is behind, counted from what it would really read next.

A committed offset below the log's end is not lag yet: commit markers of transactions take offsets too. So where the two
differ, a read-committed consumer looks from the committed offset on: a record it finds is the oldest unread one; a
position that reaches the end without any means caught up.
"""

import asyncio
from collections.abc import AsyncIterator, Iterable, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, replace
from datetime import datetime

import msgspec
from aiokafka import AIOKafkaConsumer, TopicPartition
from aiokafka.admin import AIOKafkaAdminClient
from aiokafka.errors import ConsumerStoppedError
from aiokafka.structs import OffsetAndMetadata

from libs.contracts.raw_tick import decode_raw_tick
from libs.kafka.clients import close_admin, close_consumer, partitions_of_topic
from libs.kafka.connection import KafkaConnection
from libs.kafka.decoding import read_any_header_name
from libs.kafka.errors import KafkaUnreachableError, telling_outages
from libs.kafka.members import COORDINATOR_COMING, LOOK_AGAIN_SECONDS, describe

PROBE_SECONDS = 2.0
READ_SECONDS = 8.0
STEP_MS = 100
PROBE_FETCH_BYTES = 16_384
"""The first record of a partition is enough."""


@dataclass(frozen=True, slots=True)
class PartitionLag:
    """Where a group stands in one partition.

    `committed` is None when the group has never committed there; `log_start` and `log_end` are the offsets of the oldest
    kept record and after the last committed one. `lag_messages` counts the offsets from the oldest unread record on, the
    markers between records too; it is 0 exactly when nothing is left to read. `lag_seconds` is the age (Kafka's timestamp)
    of the oldest unread record, None when it could not be looked at in time. `event_lag_seconds` is how long ago the event
    time of that record is, None also when it is no tick.
    """

    topic: str
    partition: int
    committed: int | None
    log_start: int
    log_end: int
    lag_messages: int
    lag_seconds: float | None
    event_lag_seconds: float | None


class LagReader:
    """Reads the lag of groups; keeps two connections, which it opens on the first question and again after an outage."""

    def __init__(self, connection: KafkaConnection) -> None:
        self._connection = connection
        self._admin: AIOKafkaAdminClient | None = None
        self._consumer: AIOKafkaConsumer | None = None
        self._one_at_a_time = asyncio.Lock()

    async def read(self, group: str, topics: Sequence[str], now: datetime) -> list[PartitionLag]:
        """Return the lag in each partition of the topics, in order. Raises KafkaUnreachableError."""
        try:
            with telling_outages():
                async with asyncio.timeout(READ_SECONDS), self._one_at_a_time:
                    consumer = await self._opened()
                    lags = await self._offsets(consumer, group, topics)
                    return await _probed(consumer, lags, now)
        except KafkaUnreachableError:
            await self.close()
            raise
        except ConsumerStoppedError as error:  # a ping met an outage, and closed what we were asking with
            raise KafkaUnreachableError("the connection was closed meanwhile") from error

    async def members(self, group: str) -> int:
        """Return how many processes are in the group. Raises KafkaUnreachableError."""
        try:
            with telling_outages():
                async with asyncio.timeout(READ_SECONDS), self._one_at_a_time:
                    await self._opened()
                    return len((await describe(_open(self._admin), group))[1])
        except KafkaUnreachableError:
            await self.close()
            raise

    async def ping(self) -> None:
        """Return when the broker has answered. Raises KafkaUnreachableError."""
        try:
            with telling_outages():
                consumer = self._consumer
                if consumer is None:
                    async with self._one_at_a_time:
                        consumer = await self._opened()
                if not await consumer._client.force_metadata_update():  # noqa: SLF001 the cheapest question a broker answers
                    raise KafkaUnreachableError("no broker answers")
        except KafkaUnreachableError:
            await self.close()
            raise

    async def close(self) -> None:
        """Leave; the next question opens other connections."""
        consumer, self._consumer = self._consumer, None
        admin, self._admin = self._admin, None
        if consumer is not None:
            await close_consumer(consumer)
        if admin is not None:
            await close_admin(admin)

    async def _opened(self) -> AIOKafkaConsumer:
        if self._consumer is None:
            read_any_header_name()
            consumer = AIOKafkaConsumer(
                **self._connection.options(),
                group_id=None,
                enable_auto_commit=False,
                isolation_level="read_committed",
                auto_offset_reset="earliest",
                max_partition_fetch_bytes=PROBE_FETCH_BYTES,
                fetch_max_wait_ms=STEP_MS,
            )
            admin = AIOKafkaAdminClient(**self._connection.options())
            try:
                await consumer.start()
                await admin.start()
            except BaseException:
                await close_consumer(consumer)
                await close_admin(admin)
                raise
            self._consumer, self._admin = consumer, admin
        return self._consumer

    async def _offsets(self, consumer: AIOKafkaConsumer, group: str, topics: Iterable[str]) -> list[PartitionLag]:
        places = [place for topic in topics for place in await partitions_of_topic(consumer, topic)]
        starts: Mapping[TopicPartition, int] = await consumer.beginning_offsets(places)
        ends: Mapping[TopicPartition, int] = await consumer.end_offsets(places)
        held = await self._held(group)
        committed = {place: found.offset for place, found in held.items() if found.offset >= 0}
        return [_unprobed(place, committed.get(place), starts[place], ends[place]) for place in places]

    async def _held(self, group: str) -> Mapping[TopicPartition, OffsetAndMetadata]:
        while True:
            try:
                held: Mapping[TopicPartition, OffsetAndMetadata] = await _open(self._admin).list_consumer_group_offsets(group)
            except COORDINATOR_COMING:
                await asyncio.sleep(LOOK_AGAIN_SECONDS)
            else:
                return held


def _open(admin: AIOKafkaAdminClient | None) -> AIOKafkaAdminClient:
    if admin is None:
        raise KafkaUnreachableError("the connection was closed meanwhile")
    return admin


def _unprobed(place: TopicPartition, committed: int | None, log_start: int, log_end: int) -> PartitionLag:
    behind = max(0, log_end - _next_read(committed, log_start))
    seconds = None if behind else 0.0
    return PartitionLag(place.topic, place.partition, committed, log_start, log_end, behind, seconds, seconds)


def _next_read(committed: int | None, log_start: int) -> int:
    return log_start if committed is None else max(committed, log_start)


async def _probed(consumer: AIOKafkaConsumer, lags: Sequence[PartitionLag], now: datetime) -> list[PartitionLag]:
    waiting = {TopicPartition(lag.topic, lag.partition): lag for lag in lags if lag.lag_messages}
    known = {TopicPartition(lag.topic, lag.partition): lag for lag in lags}
    if not waiting:
        return list(lags)
    consumer.assign(list(waiting))
    for place, lag in waiting.items():
        consumer.seek(place, _next_read(lag.committed, lag.log_start))
    deadline = asyncio.get_running_loop().time() + PROBE_SECONDS
    while waiting and asyncio.get_running_loop().time() < deadline:
        fetched = await consumer.getmany(*waiting, timeout_ms=STEP_MS)
        for place, lag in list(waiting.items()):
            if records := fetched.get(place):
                oldest = records[0]
                known[place] = replace(
                    lag,
                    lag_messages=max(1, lag.log_end - oldest.offset),
                    lag_seconds=_seconds_since(oldest.timestamp / 1000, now),
                    event_lag_seconds=_event_lag(oldest.value, now),
                )
            elif await consumer.position(place) >= lag.log_end:
                known[place] = replace(lag, lag_messages=0, lag_seconds=0.0, event_lag_seconds=0.0)
            else:
                continue
            del waiting[place]
            consumer.pause(place)
    consumer.pause(*waiting)
    return list(known.values())


def _seconds_since(timestamp: float, now: datetime) -> float:
    return round(max(0.0, now.timestamp() - timestamp), 3)


def _event_lag(value: bytes | None, now: datetime) -> float | None:
    try:
        return None if value is None else _seconds_since(decode_raw_tick(value).source_updated_at.timestamp(), now)
    except (msgspec.DecodeError, ValueError, OverflowError):
        return None


@asynccontextmanager
async def open_lag_reader(connection: KafkaConnection) -> AsyncIterator[LagReader]:
    """Open a reader; it connects on the first question, so a process starts while Kafka is away."""
    reader = LagReader(connection)
    try:
        yield reader
    finally:
        await reader.close()
