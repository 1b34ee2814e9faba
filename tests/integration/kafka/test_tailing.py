import asyncio

import pytest
from aiokafka import AIOKafkaConsumer, TopicPartition
from aiokafka.admin import AIOKafkaAdminClient, NewPartitions

from libs.kafka.connection import KafkaConnection
from libs.kafka.publishing import open_publisher
from libs.kafka.records import Record
from libs.kafka.tailing import Start, TopicRecord, open_tail
from tests.integration.kafka.topics import create, own_topic


async def test_a_tail_that_is_stopped_the_moment_it_has_its_place_stops(
    connection: KafkaConnection, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Python 3.11's wait_for drops a cancellation that comes together with the result."""
    topic = own_topic()
    await create(connection, topic)
    position = AIOKafkaConsumer.position

    async def position_and_stop(consumer: AIOKafkaConsumer, place: TopicPartition) -> int:
        offset: int = await position(consumer, place)
        asyncio.get_running_loop().call_soon(following.cancel)
        monkeypatch.undo()
        return offset

    monkeypatch.setattr(AIOKafkaConsumer, "position", position_and_stop)

    async def follow() -> None:
        async with open_tail(connection, topic.name, start=Start.END) as tail:
            async for _ in tail:
                pass

    following = asyncio.create_task(follow())
    try:
        await asyncio.wait([following], timeout=5)
        assert following.cancelled()
    finally:
        following.cancel()
        await asyncio.wait([following])


async def test_partitions_that_are_added_come_in_and_nothing_of_them_is_missed(connection: KafkaConnection) -> None:
    """From the end on is meant of what was there: whatever a later partition holds was published since."""
    topic = own_topic()
    await create(connection, topic)
    async with (
        open_publisher(connection) as before,
        open_tail(connection, topic.name, start=Start.END, metadata_seconds=0.5) as tail,
    ):
        await before.publish([Record(topic.name, b"a", b"before it came")])
        assert await tail.read() == []
        admin = AIOKafkaAdminClient(**connection.options())
        await admin.start()
        await admin.create_partitions({topic.name: NewPartitions(6)})
        await admin.close()
        keys = {b"key-%d" % number for number in range(20)}
        async with open_publisher(connection) as after:
            await after.publish([Record(topic.name, key, b"") for key in keys])
        told: list[TopicRecord] = []
        async with asyncio.timeout(60):
            while len(told) < len(keys):
                told += await tail.read()
        assert sorted(tail.positions) == list(range(6))
        assert {record.key for record in told} == keys
        await before.publish([Record(topic.name, b"a", b"and goes on")])
        async with asyncio.timeout(60):
            while not (records := await tail.read()):
                pass
        assert [record.value for record in records] == [b"and goes on"]
