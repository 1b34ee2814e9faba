"""Records on their way out: packed into batches by partition, one acknowledgement a batch and no waiting a record."""

import asyncio
import random
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from functools import partial
from itertools import count, repeat
from typing import NamedTuple

from aiokafka import AIOKafkaProducer
from aiokafka.errors import KafkaTimeoutError

from libs.kafka.clients import LINGER_MS, partitions_of
from libs.kafka.errors import WedgedProducerError
from libs.kafka.partitioning import partition_of

LOG_APPEND_TIME = 1
"""Kafka's number for timestamps that the broker gives."""


class Record(NamedTuple):
    """One record to publish; no value makes it a tombstone. `partition` is only for what must stay where it came from."""

    topic: str
    key: bytes | None
    value: bytes | None
    headers: Sequence[tuple[str, bytes]] = ()
    partition: int | None = None


class Position(NamedTuple):
    """Where a record landed. `logged_at_ms`: the broker's time of it where its topic keeps that (LogAppendTime), else -1."""

    partition: int
    offset: int
    logged_at_ms: int = -1


_position = partial(tuple.__new__, Position)


@dataclass(slots=True)
class _Batch:
    topic: str
    partition: int
    builder: object
    append: Callable[..., object]
    """The builder's own: asked for each record, it gives None when the batch is full."""
    indexes: list[int] = field(default_factory=list)


async def send_records(
    producer: AIOKafkaProducer, records: Sequence[Record], *, step_seconds: float | None = None
) -> list[Position]:
    """Send all and return where each landed, in the order given, once Kafka has acknowledged every one.

    A batch leaves as soon as it is full, so the broker works on it while the next is packed. `step_seconds` is the longest
    that a batch may wait for its turn, and the last ones for their acknowledgement: then TimeoutError. Without it the caller
    bounds the whole.
    When this is cancelled or fails, what the client holds may still be sent: to be sure that it is not, abandon the client.
    """
    partitions = {topic: len(await partitions_of(producer.client, topic)) for topic in {record.topic for record in records}}
    batches: list[_Batch] = []
    sent: list[asyncio.Future[object]] = []
    try:
        for batch in _packed(producer, records, partitions):
            async with asyncio.timeout(step_seconds):  # the client takes the next of a partition when it has sent the last
                sent.append(await _handed_over(producer, batch))
            batches.append(batch)
            await asyncio.sleep(0)  # packing is all computation, and heartbeats wait for it
        async with asyncio.timeout(step_seconds):
            bases = await asyncio.gather(*sent, return_exceptions=True)
    except BaseException:
        # Waits for none of them: the broker may be silent, and the caller's time may be up.
        for future in sent:
            if not future.cancel() and not future.cancelled():
                future.exception()  # nobody else asks
        raise
    return _positions(batches, bases, len(records))


async def _handed_over(producer: AIOKafkaProducer, batch: _Batch) -> asyncio.Future[object]:
    """Wait for the batch's turn for as long as the caller does.

    aiokafka subtracts all the time since the start once for each turn that went to somebody else (add_batch of 0.14; the queue
    of its pull request 814 is not merged), so where many publish to a partition at once it gives up early.
    """
    while True:
        with suppress(KafkaTimeoutError):
            sent: asyncio.Future[object] = await producer.send_batch(batch.builder, batch.topic, partition=batch.partition)
            return sent
        await asyncio.sleep(LINGER_MS / 1_000)


def _positions(batches: Iterable[_Batch], bases: Iterable[object], records: int) -> list[Position]:
    positions: list[Position] = [Position(-1, -1)] * records
    for batch, base in zip(batches, bases, strict=True):
        if isinstance(base, BaseException):
            raise base
        first = getattr(base, "offset", -1)
        if first < 0:
            raise WedgedProducerError("the broker took a batch for a repeated one and no longer knows where it stands")
        logged_at_ms = base.timestamp if getattr(base, "timestamp_type", 0) == LOG_APPEND_TIME else -1  # type: ignore[attr-defined] # aiokafka's RecordMetadata
        # One after another, and made by the tuple's own constructor: there are as many as records.
        places = zip(repeat(batch.partition), count(first), repeat(logged_at_ms), strict=False)
        for index, place in zip(batch.indexes, places, strict=False):
            positions[index] = _position(place)
    return positions


def _packed(producer: AIOKafkaProducer, records: Iterable[Record], partitions: dict[str, int]) -> Iterator[_Batch]:
    """Fill batches in order, and hand out each when it is full; all are closed, so that none lingers for more."""
    filling: dict[tuple[str, int], _Batch] = {}
    for index, record in enumerate(records):
        topic, key, value, headers, _ = record
        partition = settled_partition(record, partitions[topic])
        if partition is None:
            partition = random.randrange(partitions[topic])  # noqa: S311 spreading, not cryptography
        place = topic, partition
        batch = filling.get(place)
        if batch is None or batch.append(timestamp=None, key=key, value=value, headers=list(headers)) is None:
            if batch is not None:
                yield batch  # which closed itself
            batch = filling[place] = _batch(producer, place)
            batch.append(timestamp=None, key=key, value=value, headers=list(headers))
        batch.indexes.append(index)
    for batch in filling.values():
        batch.builder.close()  # type: ignore[attr-defined] # aiokafka's BatchBuilder, which is not exported
        yield batch


def _batch(producer: AIOKafkaProducer, place: tuple[str, int]) -> _Batch:
    builder = producer.create_batch()
    return _Batch(*place, builder, builder.append)


def settled_partition(record: Record, partitions: int) -> int | None:
    """Return where a record must go; None when chance decides."""
    if record.partition is not None:
        return record.partition
    return None if record.key is None else partition_of(record.key, partitions)
