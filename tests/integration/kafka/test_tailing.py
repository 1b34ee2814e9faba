import asyncio

import pytest
from aiokafka import AIOKafkaConsumer, TopicPartition

from libs.kafka.connection import KafkaConnection
from libs.kafka.tailing import Start, open_tail
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
