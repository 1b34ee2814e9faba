"""Publishing outside of transactions: acknowledged by all replicas, idempotent, at least once over a change of client."""

import asyncio
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field

import structlog
from aiokafka import AIOKafkaProducer

from libs.kafka.clients import BATCH_BYTES, LINGER_MS, abandon
from libs.kafka.compression import COMPRESSION, compress_quickly
from libs.kafka.connection import KafkaConnection
from libs.kafka.errors import KafkaUnreachableError, WedgedProducerError, telling_outages
from libs.kafka.records import Position, Record, send_records

log = structlog.get_logger(__name__)


@dataclass(slots=True)
class Publisher:
    """Publishes, opening its client on first use and another one after it has failed."""

    connection: KafkaConnection
    timeout_seconds: float
    _client: AIOKafkaProducer | None = None
    _opening: asyncio.Lock = field(default_factory=asyncio.Lock)

    async def publish(self, records: Sequence[Record]) -> list[Position]:
        """Return where each record landed, once Kafka has acknowledged them all.

        Raises KafkaUnreachableError on an outage, and when the client was spent: then some of the records may have
        arrived, and the caller publishes all of them again. A refusal (a record that is too large) leaves as it is.
        """
        if not records:
            return []
        client = None
        try:
            with telling_outages():
                async with asyncio.timeout(self.timeout_seconds):
                    client = await self._opened()
                    return await send_records(client, records)
        except (KafkaUnreachableError, WedgedProducerError) as error:
            # Also after a timeout: what is still in its buffer must not arrive behind the back of whoever tries again.
            log.warning("publisher_replaced", error=str(error))
            await self._discard(client)
            raise KafkaUnreachableError(str(error)) from error

    async def close(self) -> None:
        """Close the client; what was published has been acknowledged already."""
        await self._discard(self._client)

    async def _opened(self) -> AIOKafkaProducer:
        async with self._opening:
            if self._client is None:
                compress_quickly()
                client = AIOKafkaProducer(
                    **self.connection.options(),
                    acks="all",
                    enable_idempotence=True,
                    compression_type=COMPRESSION,
                    linger_ms=LINGER_MS,
                    max_batch_size=BATCH_BYTES,
                )
                try:
                    await client.start()
                except BaseException:
                    await abandon(client)
                    raise
                self._client = client
            return self._client

    async def _discard(self, client: AIOKafkaProducer | None) -> None:
        if client is None:
            return
        if self._client is client:
            self._client = None
        await abandon(client)


@asynccontextmanager
async def open_publisher(connection: KafkaConnection, *, timeout_seconds: float = 15.0) -> AsyncIterator[Publisher]:
    """Open a publisher; it connects on first use, so a process starts, and says so, while Kafka is away."""
    publisher = Publisher(connection, timeout_seconds)
    try:
        yield publisher
    finally:
        await publisher.close()
