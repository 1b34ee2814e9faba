"""Every client of ours, at every kind of listener, and a tick's whole way with both servers secured."""

from collections.abc import Mapping
from datetime import timedelta
from uuid import uuid4

import pytest

from libs.contracts.topics import TOPICS, Topic
from libs.kafka.access import knock
from libs.kafka.admin import ensure_topics
from libs.kafka.connection import KafkaConnection
from libs.kafka.lag import open_lag_reader
from libs.kafka.offsets import open_group_offsets
from libs.kafka.publishing import open_publisher
from libs.kafka.records import Record
from libs.kafka.tailing import read_to_end
from libs.kafka.transactions import TransactionalClient
from libs.postgres.access import knock as knock_at_postgres
from libs.postgres.pool import open_pool
from libs.process.clock import SystemClock
from libs.process.kafka_settings import KafkaSettings
from libs.streaming.checkpoints import open_checkpoints
from services.normalizer.wiring import DECLARED
from tests.integration.normalizer.conftest import count, normalizer_running, raw_tick, record_of
from tests.integration.security.conftest import Secured
from tests.integration.streaming.conftest import eventually

LISTENERS = ("plain", "scram", "scram-tls", "mutual-tls")


def connection_of(environment: Mapping[str, str]) -> KafkaConnection:
    """As a service makes it of its environment."""
    return KafkaSettings(**{name.lower(): value for name, value in environment.items()}).kafka_connection("test")  # type: ignore[arg-type] # as text, which pydantic reads


@pytest.mark.parametrize("listener", LISTENERS)
async def test_every_client_is_let_in(secured: Secured, listener: str) -> None:
    connection = connection_of(secured.environment(listener))
    assert await knock(connection)
    topic = Topic(f"secured-{uuid4().hex[:8]}", "a test's", "any", None, (), (), timedelta(days=1), 1)
    await ensure_topics(connection, [topic])
    async with open_publisher(connection) as publisher:
        await publisher.publish([Record(topic.name, b"k", b"published")])
    client = TransactionalClient(connection, uuid4().hex)
    await client.open()
    async with client.transaction() as transaction:
        await transaction.send([Record(topic.name, b"k", b"in a transaction")])
        await transaction.commit_offset("secured", topic.name, 0, 1)
    await client.close()
    assert [record.value for record in await read_to_end(connection, topic.name)] == [b"published", b"in a transaction"]
    async with open_group_offsets(connection, "secured") as offsets:
        assert set((await offsets.committed()).values()) >= {1}
    async with open_lag_reader(connection) as reader:
        assert [lag.lag_messages > 0 for lag in await reader.read("secured", [topic.name], SystemClock().utc())] == [True]
    async with open_checkpoints(connection, "secured") as checkpoints:
        assert (await checkpoints.committed())[topic.name, 0] == 1


async def test_a_tick_becomes_a_row_with_both_servers_secured(secured: Secured, tls_database_url: str) -> None:
    connection = connection_of(secured.environment("scram-tls"))
    await ensure_topics(connection, TOPICS)
    async with (
        open_pool(tls_database_url, application="test", connections=1, statement_seconds=20) as pool,
        open_publisher(connection) as publisher,
        normalizer_running(connection, tls_database_url, DECLARED),
    ):
        tick = raw_tick("bitcoin", "btc", at=SystemClock().utc())
        await publisher.publish([record_of(DECLARED.raw["coingecko"], tick)])

        async def stored() -> bool:
            return await count(pool, "assets") == 1

        await eventually(stored, "the tick is an asset", 40)
        assert await knock_at_postgres(tls_database_url, application="test")
