"""Asking where topics end, without reading them."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from aiokafka import AIOKafkaConsumer

from libs.kafka.clients import OFFSETS_SECONDS, close_consumer, groupless_consumer, partitions_of_topic
from libs.kafka.connection import KafkaConnection
from libs.kafka.errors import telling_outages


class EndProbe:
    """Where topics end, transactions that are still open included; keeps one connection for many questions."""

    def __init__(self, connection: KafkaConnection) -> None:
        self._connection = connection
        self._consumer: AIOKafkaConsumer | None = None
        self._opening = asyncio.Lock()

    async def ends(self, topic: str, *, of_all: bool = False) -> dict[int, int]:
        """Return partition -> the offset after the last record.

        A partition that was added less than METADATA_SECONDS ago may be missing, but with `of_all`, which costs one more request.
        Raises KafkaUnreachableError, and WedgedProducerError for what the client gives no reason for. After any error the next
        question opens another connection.
        """
        try:
            with telling_outages():
                async with asyncio.timeout(OFFSETS_SECONDS):
                    consumer = await self._opened()
                    if of_all:
                        await consumer._client.force_metadata_update()  # noqa: SLF001 a consumer has no question that asks anew
                    ends = await consumer.end_offsets(await partitions_of_topic(consumer, topic))
        except Exception:
            await self.close()
            raise
        return {place.partition: offset for place, offset in ends.items()}

    async def close(self) -> None:
        """Leave; the next question opens another connection."""
        if self._consumer is not None:
            consumer, self._consumer = self._consumer, None
            await close_consumer(consumer)

    async def _opened(self) -> AIOKafkaConsumer:
        async with self._opening:
            if self._consumer is None:
                consumer = groupless_consumer(self._connection, "latest", isolation="read_uncommitted")
                try:
                    await consumer.start()
                except BaseException:
                    await close_consumer(consumer)
                    raise
                self._consumer = consumer
            return self._consumer


@asynccontextmanager
async def open_end_probe(connection: KafkaConnection) -> AsyncIterator[EndProbe]:
    """Open a probe; it connects on the first question."""
    probe = EndProbe(connection)
    try:
        yield probe
    finally:
        await probe.close()
