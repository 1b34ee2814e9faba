"""Topics are created as declared, once, and differences are told rather than mended."""

import time
from dataclasses import replace
from datetime import timedelta
from uuid import uuid4

import pytest
from aiokafka import AIOKafkaProducer

from libs.contracts.topics import Topic
from libs.devstack.ports import free_port
from libs.kafka.admin import Difference, TopicReport, TopicsError, ensure_topics, wait_until_reachable
from libs.kafka.connection import KafkaConnection
from libs.kafka.errors import KafkaUnreachableError
from libs.kafka.tailing import read_to_end


@pytest.fixture
def connection(kafka_bootstrap_servers: str) -> KafkaConnection:
    return KafkaConnection(kafka_bootstrap_servers, "test-admin")


@pytest.fixture
def topic() -> Topic:
    name = f"test.admin.{uuid4().hex}"
    return Topic(
        name, "A test", "none", None, ("test",), ("test",), kept=timedelta(days=2), partitions=3, largest_message=2_000_000
    )


async def test_missing_topics_are_created_as_declared_and_only_once(connection: KafkaConnection, topic: Topic) -> None:
    compacted = replace(topic, name=f"{topic.name}.compacted", kept=None)
    first = await ensure_topics(connection, [topic, compacted])
    again = await ensure_topics(connection, [topic, compacted])
    assert first == TopicReport(created=(topic.name, compacted.name), existing=(), differences=())
    assert again == TopicReport(created=(), existing=(topic.name, compacted.name), differences=())


async def test_what_differs_from_its_declaration_is_told_and_left_alone(connection: KafkaConnection, topic: Topic) -> None:
    await ensure_topics(connection, [topic])
    changed = replace(topic, partitions=6, kept=timedelta(days=1))
    for _ in range(2):
        report = await ensure_topics(connection, [changed])
        assert report.differences == (
            Difference(topic.name, "partitions", "6", "3"),
            Difference(topic.name, "retention.ms", "86400000", "172800000"),
        )


async def test_a_dry_run_creates_nothing(connection: KafkaConnection, topic: Topic) -> None:
    for _ in range(2):
        assert (await ensure_topics(connection, [topic], dry_run=True)).created == (topic.name,)


async def test_a_refused_topic_is_named_with_the_reason(connection: KafkaConnection, topic: Topic) -> None:
    with pytest.raises(TopicsError, match=f"{topic.name}.*ReplicationFactor"):
        await ensure_topics(connection, [topic], replication_factor=3)


async def test_a_broker_that_is_away_is_named_in_time() -> None:
    nowhere = f"127.0.0.1:{free_port()}"
    with pytest.raises(KafkaUnreachableError, match=nowhere):
        await wait_until_reachable(KafkaConnection(nowhere, "test-admin"), timeout_seconds=0.3)


@pytest.mark.parametrize("wrong_by", [timedelta(hours=2), timedelta(days=-30)])
async def test_a_record_is_as_old_as_the_broker_says_whatever_its_senders_clock(
    connection: KafkaConnection, topic: Topic, wrong_by: timedelta
) -> None:
    """A clock ahead would be refused, and the records of one far behind would be gone with the next retention."""
    await ensure_topics(connection, [topic])
    now = time.time()
    producer = AIOKafkaProducer(**connection.options())
    await producer.start()
    try:
        await producer.send_and_wait(topic.name, b"value", timestamp_ms=int((now + wrong_by.total_seconds()) * 1000))
    finally:
        await producer.stop()
    (record,) = await read_to_end(connection, topic.name)
    assert record.timestamp_ms / 1000 == pytest.approx(now, abs=60)
