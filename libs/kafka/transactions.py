"""One transactional id: what is written in a transaction becomes visible whole or not at all.

Opening the id fences whoever had it before, ends the transaction they left open, and so makes their committed offsets final.
"""

import asyncio
import time
from collections.abc import AsyncIterator, Iterator, Sequence
from contextlib import asynccontextmanager, contextmanager
from dataclasses import dataclass

import structlog
from aiokafka import AIOKafkaProducer, TopicPartition
from aiokafka.errors import IllegalOperation

from libs.kafka.clients import BATCH_BYTES, LINGER_MS, abandon, partitions_of
from libs.kafka.compression import COMPRESSION, compress_quickly
from libs.kafka.connection import KafkaConnection
from libs.kafka.errors import REFUSED, FencedProducerError, RecordsRefusedError, WedgedProducerError, telling_outages
from libs.kafka.records import Position, Record, send_records, settled_partition

log = structlog.get_logger(__name__)

TRANSACTION_TIMEOUT_MS = 60_000
"""Longest that a transaction may take: several times what the largest answer needs. The transaction of a process that died
holds back the readers of its topics for as long, unless somebody opens its id before: its successor does."""
STEP_SECONDS = 20.0
"""Longest that one step waits for the broker."""
ABORT_SECONDS = 2.0
ANNOUNCED = 250
"""Records of which the partitions are announced: enough to meet all of a topic's, and soon looked through."""


class TransactionExpiredError(FencedProducerError):
    """The transaction was open for longer than the broker allows. The id may still be ours."""


@dataclass(slots=True)
class Transaction:
    """An open transaction; made by `TransactionalClient.transaction`."""

    _producer: AIOKafkaProducer

    async def announce(self, records: Sequence[Record], *, topics: Sequence[str] = ()) -> None:
        """Tell the broker in one request where records will go: those of `records`, and all partitions of `topics`.

        Without it the broker is told of each partition when the first batch for it is ready, and that batch waits. Where a
        record will go by chance is left to that.
        """
        with _telling_dead_clients(self._producer):
            client, manager = self._producer.client, self._producer._txn_manager  # noqa: SLF001 aiokafka announces what it is given to send, no sooner
            first = records[:ANNOUNCED]
            counts = {topic: len(await partitions_of(client, topic)) for topic in {*topics, *(one.topic for one in first)}}
            places = {(one.topic, place) for one in first if (place := settled_partition(one, counts[one.topic])) is not None}
            places |= {(topic, partition) for topic in topics for partition in range(counts[topic])}
            for topic, partition in places:
                manager.maybe_add_partition_to_txn(TopicPartition(topic, partition))

    async def send(self, records: Sequence[Record]) -> list[Position]:
        """Return where each landed, once acknowledged; readers see none of it before the commit.

        Raises RecordsRefusedError when the broker will take one of them at no time.
        """
        try:
            with _telling_dead_clients(self._producer):
                return await send_records(self._producer, records, step_seconds=STEP_SECONDS)
        except REFUSED as error:
            topics = ", ".join(sorted({record.topic for record in records}))
            raise RecordsRefusedError(f"Kafka takes no such record in {topics}: {error}") from error

    async def commit_offset(self, group: str, topic: str, partition: int, next_offset: int) -> None:
        """Make the group's offset part of the transaction."""
        with _telling_dead_clients(self._producer):
            async with asyncio.timeout(STEP_SECONDS):
                await self._producer.send_offsets_to_transaction({TopicPartition(topic, partition): next_offset}, group)

    @asynccontextmanager
    async def committing_offset(self, group: str, topic: str, partition: int, next_offset: int) -> AsyncIterator[None]:
        """Make the group's offset part of the transaction while the block sends; both are done when it is left."""
        committing = asyncio.create_task(self.commit_offset(group, topic, partition, next_offset))
        try:
            yield
            await committing
        finally:
            committing.cancel()  # what the broker has been told counts with the transaction, which is aborted now
            committing.add_done_callback(_without_a_word)


class TransactionalClient:
    """The client of one transactional id, for one task at a time. Closed until `open`, and again after any failure."""

    def __init__(self, connection: KafkaConnection, transactional_id: str) -> None:
        self._connection = connection
        self.transactional_id = transactional_id
        self._producer: AIOKafkaProducer | None = None

    @property
    def is_open(self) -> bool:
        """Whether a transaction can begin."""
        return self._producer is not None

    async def open(self) -> None:
        """Take the id over. Raises KafkaUnreachableError."""
        if self._producer is not None:
            return
        compress_quickly()
        producer = AIOKafkaProducer(
            **self._connection.options(),
            transactional_id=self.transactional_id,
            transaction_timeout_ms=TRANSACTION_TIMEOUT_MS,
            compression_type=COMPRESSION,
            linger_ms=LINGER_MS,
            max_batch_size=BATCH_BYTES,
        )
        try:
            with telling_outages():
                async with asyncio.timeout(STEP_SECONDS):
                    await producer.start()
        except BaseException:
            await abandon(producer)
            raise
        self._producer = producer

    @asynccontextmanager
    async def transaction(self) -> AsyncIterator[Transaction]:
        """Commit at the end of the block; abort when it raises.

        After an outage, a fencing or a cancelled commit the client is closed and the outcome may be unknown: whoever opens
        the id next settles it, and the group's committed offset then tells what it was. Raises TransactionExpiredError when
        the block took too long.
        """
        producer, begun = self._producer, time.monotonic()
        if producer is None:
            raise WedgedProducerError(f"{self.transactional_id} is not open")
        committing = False
        try:
            with _telling_dead_clients(producer):
                await producer.begin_transaction()
            yield Transaction(producer)
            committing = True
            with _telling_dead_clients(producer):
                async with asyncio.timeout(STEP_SECONDS):
                    await producer.commit_transaction()
        except BaseException as error:
            # A refused batch leaves a hole in the client's sequence: what it sends there next would be out of order.
            spent = committing or isinstance(error, RecordsRefusedError)
            if committing or not await _aborted(producer) or spent:
                await self.close()
            seconds = time.monotonic() - begun
            if isinstance(error, WedgedProducerError) and 1000 * seconds > TRANSACTION_TIMEOUT_MS:
                allowed = TRANSACTION_TIMEOUT_MS // 1000
                raise TransactionExpiredError(f"the transaction took {seconds:.0f} s, the broker allows {allowed} s") from error
            raise

    async def close(self) -> None:
        """Close the client in bounded time."""
        if self._producer is not None:
            producer, self._producer = self._producer, None
            await abandon(producer)


@contextmanager
def _telling_dead_clients(producer: AIOKafkaProducer) -> Iterator[None]:
    """Aiokafka guards its states by assertions: one that fails means that the sending task has died, with the true reason."""
    try:
        with telling_outages():
            yield
    except (AssertionError, IllegalOperation) as error:
        with telling_outages():
            sender = producer._sender.sender_task  # noqa: SLF001 the reason is nowhere else
            if sender is not None and sender.done() and not sender.cancelled():
                sender.result()
            refused = producer._txn_manager._transaction_waiter  # noqa: SLF001 the same, of a transaction that can only be aborted
            if refused is not None and refused.done() and not refused.cancelled():
                refused.result()
        raise WedgedProducerError(str(error)) from error


def _without_a_word(committing: asyncio.Task[None]) -> None:
    """Whoever sent has been told of an error of their own, or of this one."""
    if not committing.cancelled():
        committing.exception()


async def _aborted(producer: AIOKafkaProducer) -> bool:
    """Abort at once, so that readers are not held back; say whether the client can go on."""
    try:
        async with asyncio.timeout(ABORT_SECONDS):  # wait_for of Python 3.11 may swallow a cancellation
            await producer.abort_transaction()
    except Exception as error:  # noqa: BLE001 whatever it is, the caller closes this client; the first error is what is told
        log.debug("transaction_left_to_its_timeout", error=repr(error))
        return False
    return True
