"""Topics of a test's own."""

from datetime import timedelta
from uuid import uuid4

from libs.contracts.topics import Topic
from libs.kafka.admin import ensure_topics
from libs.kafka.connection import KafkaConnection


def own_topic(name: str = "", *, partitions: int = 1, compacted: bool = False) -> Topic:
    kept = None if compacted else timedelta(days=1)
    unique = f"test.{name or 'topic'}.{uuid4().hex}"
    return Topic(unique, "A test's own", "any", None, (), (), kept, partitions=partitions)


async def create(connection: KafkaConnection, *topics: Topic) -> None:
    await ensure_topics(connection, topics)
