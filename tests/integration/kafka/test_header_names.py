"""A header whose name is no text, which any client may send, ends nobody who reads the topic."""

from datetime import UTC, datetime

import pytest
from aiokafka import AIOKafkaProducer
from aiokafka.consumer import fetcher
from aiokafka.record.default_records import _DefaultRecordBatchBuilderPy
from aiokafka.record.memory_records import MemoryRecords

from libs.kafka.connection import KafkaConnection
from libs.kafka.lag import open_lag_reader
from libs.kafka.tailing import read_to_end
from tests.integration.kafka.topics import create, own_topic


class NoText(str):
    __slots__ = ()

    def encode(self, *_: object) -> bytes:
        return b"\xff\xfe" + super().encode()


async def test_a_tail_and_a_look_at_the_lag_pass_a_header_name_that_is_no_text(
    connection: KafkaConnection, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(fetcher, "MemoryRecords", MemoryRecords)  # as it is before anybody of ours has read
    topic = own_topic()
    await create(connection, topic)
    async with AIOKafkaProducer(**connection.options()) as producer:
        batch = producer.create_batch()
        # The other implementation of the client's encodes names by their own method.
        batch._builder = _DefaultRecordBatchBuilderPy(2, 0, False, -1, -1, 0, 100_000)
        batch.append(key=b"k", value=b"v", timestamp=None, headers=[(NoText("odd"), b"1")])
        batch.close()
        await (await producer.send_batch(batch, topic.name, partition=0))
    async with open_lag_reader(connection) as reader:
        (lag,) = await reader.read(f"group-{topic.name}", [topic.name], datetime.now(UTC))
    assert (lag.lag_messages, lag.event_lag_seconds, lag.lag_seconds is None) == (1, None, False)
    monkeypatch.setattr(fetcher, "MemoryRecords", MemoryRecords)
    (record,) = await read_to_end(connection, topic.name)
    assert (record.value, record.headers) == (b"v", (("\\xff\\xfeodd", b"1"),))
