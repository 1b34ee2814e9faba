import asyncio

import pytest
from aiokafka import AIOKafkaConsumer
from aiokafka.coordinator.assignors.roundrobin import RoundRobinPartitionAssignor
from aiokafka.errors import InconsistentGroupProtocolError

from libs.kafka.connection import KafkaConnection
from libs.kafka.groups import OwnedPartition, work_in_group
from tests.integration.kafka.topics import create, own_topic


async def never_given(owned: OwnedPartition) -> None:
    raise AssertionError(owned)


async def test_a_group_that_will_not_have_us_is_an_error_and_no_silence(connection: KafkaConnection) -> None:
    """The client stands still on such an error until it is asked for it; another member that divides differently makes one."""
    topic = own_topic()
    await create(connection, topic)
    stranger = AIOKafkaConsumer(
        topic.name,
        **connection.options(),
        group_id=topic.name,
        enable_auto_commit=False,
        partition_assignment_strategy=[RoundRobinPartitionAssignor],
    )
    await stranger.start()
    try:
        async with asyncio.timeout(20):
            while not stranger.assignment():  # noqa: ASYNC110 a broker
                await asyncio.sleep(0.05)
            with pytest.RaisesGroup(InconsistentGroupProtocolError):
                await work_in_group(connection, group=topic.name, topic=topic.name, work=never_given)
    finally:
        await stranger.stop()
