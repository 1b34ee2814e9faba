"""Records as other clients may send them: a header's name that is no UTF-8, which Kafka does not check."""

from collections.abc import Sequence
from typing import Any

from aiokafka import AIOKafkaProducer
from aiokafka.record.default_records import _DefaultRecordBatchBuilderPy

from libs.kafka.connection import KafkaConnection


class NoText(str):
    """Encoded, it begins with bytes that no text has."""

    __slots__ = ()

    def encode(self, *_: object) -> bytes:
        return b"\xff\xfe" + super().encode()


async def send_oddly_headed(
    connection: KafkaConnection, topic: str, key: bytes | None, value: bytes | None, headers: Sequence[tuple[str, Any]]
) -> None:
    """Send one record to partition 0 with these headers, and one more whose name is no text."""
    async with AIOKafkaProducer(**connection.options()) as producer:
        batch = producer.create_batch()
        # The other implementation of the client's encodes names by their own method.
        batch._builder = _DefaultRecordBatchBuilderPy(2, 0, False, -1, -1, 0, 100_000)
        batch.append(key=key, value=value, timestamp=None, headers=[*headers, (NoText("odd"), b"1"), ("null", None)])
        batch.close()
        await (await producer.send_batch(batch, topic, partition=0))
