"""What the clients of this lib share: how producers batch, how one reads without a group, and how each is left behind."""

import asyncio
from collections.abc import Coroutine

import structlog
from aiokafka import AIOKafkaConsumer, AIOKafkaProducer, TopicPartition
from aiokafka.admin import AIOKafkaAdminClient
from aiokafka.client import AIOKafkaClient
from aiokafka.errors import KafkaError

from libs.kafka.connection import KafkaConnection
from libs.kafka.decoding import read_any_header_name
from libs.kafka.errors import KafkaUnreachableError

log = structlog.get_logger(__name__)

BATCH_BYTES = 262_144
LINGER_MS = 10
LOOK_SECONDS = 0.2
OFFSETS_SECONDS = 10.0
METADATA_SECONDS = 30.0
"""How old what is known of a topic may be; by itself the client asks for partitions that were added every five minutes."""
CLOSE_SECONDS = 2.0
"""A client whose broker is away would otherwise try for ever to send what it holds."""


async def abandon(client: AIOKafkaProducer) -> None:
    """Close a producer in bounded time. What it has not sent is failed, not sent late."""
    client._message_accumulator.fail_all(KafkaUnreachableError("the producer was closed"))  # noqa: SLF001 aiokafka has no close that gives up
    _forget_errors(client)
    await _bounded(client.stop())
    await _bounded(client.client.close())


async def partitions_of(client: AIOKafkaClient, topic: str) -> set[int]:
    """Return the numbers of a topic's partitions, waiting for it as long as for an answer: somebody is about to create it.

    Asks for all topics until it is there: a broker may create one that it is asked for by name, and not as declared.
    """
    async with asyncio.timeout(client._request_timeout_ms / 1000):  # noqa: SLF001 told to it once
        while client.cluster.partitions_for_topic(topic) is None:
            try:
                there = await client.fetch_all_metadata()
            except KafkaError as error:
                raise KafkaUnreachableError(repr(error)) from error
            if there.partitions_for_topic(topic) is not None:
                break
            await asyncio.sleep(LOOK_SECONDS)
        partitions: set[int] = await client._wait_on_metadata(topic)  # noqa: SLF001 partitions_for_topic does not ask the broker
    return partitions


async def partitions_of_topic(consumer: AIOKafkaConsumer, topic: str) -> list[TopicPartition]:
    """Return the partitions of a topic. One that is not there (yet) is an outage: somebody is about to create it."""
    partitions = await partitions_of(consumer._client, topic)  # noqa: SLF001 a producer shows its client, a consumer does not
    return [TopicPartition(topic, partition) for partition in sorted(partitions)]


def groupless_consumer(
    connection: KafkaConnection, begins: str, *, isolation: str, metadata_seconds: float = METADATA_SECONDS
) -> AIOKafkaConsumer:
    """Make a consumer that is in no group and commits nothing. `begins`: `earliest` or `latest`."""
    read_any_header_name()
    return AIOKafkaConsumer(
        **connection.options(),
        group_id=None,
        enable_auto_commit=False,
        auto_offset_reset=begins,
        isolation_level=isolation,
        metadata_max_age_ms=round(1_000 * metadata_seconds),
    )


def _forget_errors(client: AIOKafkaProducer) -> None:
    """Whoever waited has been told; without this each error is logged once more, unasked, when its future is collected."""
    queued = client._message_accumulator._batches.values()  # noqa: SLF001 aiokafka keeps them to itself
    waiters = [batch._drain_waiter for batches in queued for batch in batches]  # noqa: SLF001 the same
    if client._txn_manager is not None and client._txn_manager.transactional_id is not None:  # noqa: SLF001 the same
        waiters.append(client._txn_manager._transaction_waiter)  # noqa: SLF001 the same
    for waiter in waiters:
        if waiter is not None and waiter.done() and not waiter.cancelled():
            waiter.exception()


async def close_consumer(consumer: AIOKafkaConsumer) -> None:
    """Close a consumer in bounded time."""
    await _bounded(consumer.stop())


async def close_admin(admin: AIOKafkaAdminClient) -> None:
    """Close an admin client in bounded time."""
    await _bounded(admin.close())


async def _bounded(stopping: Coroutine[object, object, object]) -> None:
    """Wait in a way that no cancellation is lost in: wait_for of Python 3.11 can swallow one, and so can what is closed."""
    closing = asyncio.create_task(stopping)
    try:
        await asyncio.wait({closing}, timeout=CLOSE_SECONDS)
    finally:
        closing.cancel()
        closing.add_done_callback(_say_how)


def _say_how(closing: asyncio.Task[object]) -> None:
    """Whatever state the client was in, it is given up here."""
    if closing.cancelled():
        log.debug("kafka_client_abandoned", error="still closing")
    elif error := closing.exception():
        log.debug("kafka_client_abandoned", error=repr(error))
