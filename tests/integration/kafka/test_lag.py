"""How far a group is behind, whatever the oldest unread record holds."""

from uuid import uuid4

from libs.kafka.admin import ensure_topics
from libs.kafka.connection import KafkaConnection
from libs.kafka.lag import open_lag_reader
from libs.process.clock import SystemClock
from tests.integration.kafka.odd_headers import send_oddly_headed
from tests.integration.kafka.topics import own_topic


async def test_a_record_that_is_no_tick_is_lag_without_an_event_time_whatever_its_headers_are_called(
    connection: KafkaConnection,
) -> None:
    topic, group = own_topic("lag"), uuid4().hex
    await ensure_topics(connection, [topic])
    await send_oddly_headed(connection, topic.name, b"k", b"no tick", ())
    async with open_lag_reader(connection) as reader:
        (lag,) = await reader.read(group, [topic.name], SystemClock().utc())
        assert await reader.members(group) == 0
    assert (lag.lag_messages, lag.event_lag_seconds) == (1, None)
    assert lag.lag_seconds is not None
