"""What the clients of this lib share: how producers batch, and how a client is left behind whatever state it is in."""

import asyncio
from contextlib import suppress

import structlog
from aiokafka import AIOKafkaConsumer, AIOKafkaProducer

from libs.kafka.errors import KafkaUnreachableError

log = structlog.get_logger(__name__)

BATCH_BYTES = 262_144
LINGER_MS = 10
CLOSE_SECONDS = 2.0
"""A client whose broker is away would otherwise try for ever to send what it holds."""


async def abandon(client: AIOKafkaProducer) -> None:
    """Close a producer in bounded time. What it has not sent is failed, not sent late."""
    client._message_accumulator.fail_all(KafkaUnreachableError("the producer was closed"))  # noqa: SLF001 aiokafka has no close that gives up
    await _bounded(client.stop())
    with suppress(Exception):
        await asyncio.wait_for(client.client.close(), CLOSE_SECONDS)


async def close_consumer(consumer: AIOKafkaConsumer) -> None:
    """Close a consumer in bounded time."""
    await _bounded(consumer.stop())


async def _bounded(stopping: object) -> None:
    try:
        await asyncio.wait_for(stopping, CLOSE_SECONDS)  # type: ignore[arg-type] # a coroutine of a library without types
    except Exception as error:  # noqa: BLE001 whatever state the client is in, it is given up here
        log.debug("kafka_client_abandoned", error=repr(error))
