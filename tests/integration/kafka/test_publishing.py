import asyncio
import random
import signal
from pathlib import Path

import pytest
from aiokafka import TopicPartition
from aiokafka.partitioner import DefaultPartitioner

from libs.devstack.broker import Jars, start_broker
from libs.devstack.children import Nursery
from libs.kafka.connection import KafkaConnection
from libs.kafka.errors import KafkaUnreachableError
from libs.kafka.partitioning import partition_of
from libs.kafka.publishing import open_publisher
from libs.kafka.records import Record
from libs.kafka.tailing import read_to_end
from tests.integration.kafka.topics import create, own_topic


async def test_every_record_lands_where_publish_says_and_its_key_belongs(connection: KafkaConnection) -> None:
    topic = own_topic(partitions=6)
    await create(connection, topic)
    sent = [
        Record(topic.name, f"key {number}".encode(), b"x" * random.Random(number).randrange(2_000), [("number", b"%d" % number)])
        for number in range(3_000)
    ]
    async with open_publisher(connection) as publisher:
        positions = await publisher.publish(sent)
        again = await publisher.publish(sent[:1])
    there = {(record.partition, record.offset): record for record in await read_to_end(connection, topic.name)}
    assert len(there) == 3_001
    assert again[0].offset > positions[0].offset
    for record, position in zip(sent, positions, strict=True):
        found = there[position.partition, position.offset]
        assert (found.key, found.value, list(found.headers)) == (record.key, record.value, list(record.headers))
        assert record.key is not None
        assert position.partition == DefaultPartitioner()(record.key, list(range(6)), [])


@pytest.mark.parametrize("length", range(10))
def test_partitions_are_those_of_every_other_client(length: int) -> None:
    seeded = random.Random(length)
    for _ in range(50):
        key = seeded.randbytes(length)
        assert partition_of(key, 6) == DefaultPartitioner()(key, list(range(6)), [])


async def test_many_that_publish_to_one_partition_at_once_each_get_their_turn(kafka_bootstrap_servers: str) -> None:
    """The client alone would give up on the last: it counts the time that each before it waited.

    That is half the square of how many they are, times a turn's two to thirty milliseconds: well over ten seconds here, on any
    machine, where the turns together take a few.
    """
    waiting = 240
    patient, topic = KafkaConnection(kafka_bootstrap_servers, "tests", request_timeout_ms=10_000), own_topic(partitions=1)
    await create(patient, topic)
    async with open_publisher(patient, timeout_seconds=90) as publisher:
        await publisher.publish([Record(topic.name, b"key", b"first")])  # a client that is connected, and knows the topic
        landed = await asyncio.gather(*[publisher.publish([Record(topic.name, b"key", b"again")]) for _ in range(waiting)])
    assert sorted(position.offset for (position,) in landed) == list(range(1, waiting + 1))


async def test_a_record_of_one_mebibyte_is_taken(connection: KafkaConnection) -> None:
    topic = own_topic()
    await create(connection, topic)
    value = random.Random(1).randbytes(1_000_000)
    async with open_publisher(connection) as publisher:
        await publisher.publish([Record(topic.name, None, value)])
    (record,) = await read_to_end(connection, topic.name)
    assert record.value == value


async def test_without_a_broker_publishing_says_so_in_time() -> None:
    nowhere = KafkaConnection("127.0.0.1:1", "tests", request_timeout_ms=500)
    async with open_publisher(nowhere, timeout_seconds=1.0) as publisher:
        with pytest.raises(KafkaUnreachableError):
            await publisher.publish([Record("anything", b"key", b"value")])


async def test_a_broker_that_goes_silent_in_the_middle_is_told_in_time(
    nursery: Nursery, kafka_jars: Jars, session_folder: Path
) -> None:
    """More batches than the client sends at a time, so that the timeout comes while some still wait to be handed over."""
    broker = await start_broker(nursery, kafka_jars, session_folder / "silent-kafka")
    connection, topic = KafkaConnection(broker.bootstrap_servers, "tests"), own_topic()
    await create(connection, topic)
    large = [Record(topic.name, b"key", random.Random(number).randbytes(200_000)) for number in range(10)]
    try:
        async with open_publisher(connection, timeout_seconds=1.0) as publisher:
            await publisher.publish(large[:1])
            broker.child.signal(signal.SIGSTOP)
            async with asyncio.timeout(7):
                with pytest.raises(KafkaUnreachableError):
                    await publisher.publish(large)
    finally:
        broker.child.signal(signal.SIGKILL)
        broker.child.reap()


async def test_a_wedged_client_is_replaced_and_not_tried_for_ever(connection: KafkaConnection) -> None:
    """The broker refuses a sequence with a hole in it; such a client can never send again (aiokafka#1017)."""
    topic = own_topic()
    await create(connection, topic)
    async with open_publisher(connection, timeout_seconds=10.0) as publisher:
        await publisher.publish([Record(topic.name, b"key", b"first")])
        wedged = publisher._client
        assert wedged is not None
        wedged._txn_manager.increment_sequence_number(TopicPartition(topic.name, 0), 7)
        with pytest.raises(KafkaUnreachableError):
            await publisher.publish([Record(topic.name, b"key", b"lost in the hole")])
        await publisher.publish([Record(topic.name, b"key", b"second")])
        assert publisher._client is not wedged
    assert [record.value for record in await read_to_end(connection, topic.name)] == [b"first", b"second"]
