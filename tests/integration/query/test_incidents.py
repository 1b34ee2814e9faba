"""Incidents: found once, told once, over once; whoever is away, restarted or twice there."""

import asyncio
import json
import signal
import time
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack
from datetime import UTC, datetime, timedelta
from typing import Any
from urllib.parse import urlsplit

import psycopg
import pytest
from psycopg import sql

from libs.alerting.findings import Limits
from libs.contracts.incidents import Incident
from libs.contracts.settlements import Settlement
from libs.devstack.broker import Jars, start_broker
from libs.devstack.children import Nursery
from libs.devstack.ports import free_port
from libs.kafka.admin import ensure_topics
from libs.kafka.connection import KafkaConnection
from libs.kafka.offsets import Place, open_group_offsets
from libs.kafka.publishing import open_publisher
from libs.kafka.records import Record
from libs.kafka.tailing import latest_values, read_to_end
from libs.postgres.writing.dead_letters import upsert_letters, upsert_settlements
from services.query.topics import QueryTopics
from tests.integration.query.answers import Api, until
from tests.integration.query.conftest import Serve, all_topics
from tests.integration.query.played_slack import Slack, fail, hang, limit, playing_slack
from tests.integration.query.rows import insert_run
from tests.integration.query.test_dead_letters import letter

pytestmark = pytest.mark.timeout(400)  # each waits for several things that may take a minute on a full machine

FAILED = "The last 3 runs of csv failed"


@pytest.fixture
async def slack() -> AsyncIterator[Slack]:
    async with playing_slack() as slack:
        yield slack


@pytest.fixture
async def watched(
    serve: Serve, database_url: str, kafka_bootstrap_servers: str, created_topics: QueryTopics, slack: Slack
) -> AsyncIterator[Api]:
    async with serve(database_url=database_url, servers=kafka_bootstrap_servers, webhook_url=slack.url) as api:
        yield api


async def fail_three_times(database: Any) -> None:
    for age in (3, 2, 1):
        await insert_run(database, "csv", "failed", age=timedelta(minutes=age))


async def incidents(connection: KafkaConnection, topic: str) -> list[Incident]:
    records = await read_to_end(connection, topic)
    return [Incident.model_validate_json(value) for value in latest_values(records).values()]


async def test_a_source_that_fails_is_one_message_and_its_success_is_one(
    watched: Api, slack: Slack, database: Any, connection: KafkaConnection, incidents_topic: str
) -> None:
    await fail_three_times(database)
    await slack.until_said(FAILED)
    told = (await watched.get("/stats/incidents")).body
    assert (told["open"], [one["key"] for one in told["incidents"]]) == (1, ["source-failing/csv"])
    await insert_run(database, "csv", "succeeded")
    await slack.until_said(FAILED, "Over after")
    (recorded,) = await incidents(connection, incidents_topic)
    assert (recorded.key, recorded.told) == ("source-failing/csv", "over")
    assert recorded.closed_at is not None
    assert (await watched.get("/stats/incidents")).body["open"] == 0


async def test_what_was_wrong_with_a_source_that_runs_no_more_is_over(
    serve: Serve, database_url: str, kafka_bootstrap_servers: str, created_topics: QueryTopics, slack: Slack, database: Any
) -> None:
    def with_sources(*sources: str) -> Any:
        return serve(database_url=database_url, servers=kafka_bootstrap_servers, webhook_url=slack.url, sources=sources)

    for age in (3, 2, 1):
        await insert_run(database, "binance", "failed", age=timedelta(minutes=age))
    async with with_sources("csv", "binance"):
        await slack.until_said("The last 3 runs of binance failed")
    async with with_sources("csv") as api:
        await slack.until_said("The last 3 runs of binance failed", "Over after")
        assert (await api.get("/health")).body["last_success"] == {"csv": None}


async def test_two_replicas_say_it_once_and_a_restart_repeats_nothing(
    serve: Serve, database_url: str, kafka_bootstrap_servers: str, created_topics: QueryTopics, slack: Slack, database: Any
) -> None:
    def replica() -> Any:
        return serve(database_url=database_url, servers=kafka_bootstrap_servers, webhook_url=slack.url)

    await fail_three_times(database)
    async with AsyncExitStack() as second, AsyncExitStack() as first:
        await first.enter_async_context(replica())
        await second.enter_async_context(replica())
        await slack.until_said(FAILED)
        await first.aclose()
        await asyncio.sleep(2)  # the other leads now, and knows what has been said
        assert len(slack.arrived) == 1
    async with replica():
        await insert_run(database, "csv", "succeeded")
        await slack.until_said(FAILED, "Over after")


@pytest.mark.parametrize("misbehave", [fail, hang, limit])
async def test_a_webhook_that_misbehaves_hurts_nobody_and_is_told_later(
    watched: Api, slack: Slack, database: Any, misbehave: Any, capsys: pytest.CaptureFixture[str]
) -> None:
    slack.misbehave = misbehave
    await fail_three_times(database)

    async def tried() -> bool:
        return slack.posts > 0

    await until(tried, seconds=60)
    first_try = time.monotonic()
    for _ in range(10):
        asked = time.monotonic()
        assert (await watched.get("/health")).status == 200
        assert time.monotonic() - asked < 2, "a webhook that is away must not slow the API"
    slack.misbehave = None
    await slack.until_said(FAILED)
    if misbehave is limit:
        assert time.monotonic() - first_try >= 3, "it asked us to wait for four seconds"
    logged = capsys.readouterr()
    assert "s3cr3t" not in logged.out + logged.err


async def test_opened_and_over_while_the_webhook_is_away_is_one_message(watched: Api, slack: Slack, database: Any) -> None:
    slack.misbehave = limit
    await fail_three_times(database)

    async def tried() -> bool:
        return slack.posts > 0

    await until(tried, seconds=60)
    await insert_run(database, "csv", "succeeded")

    async def is_over() -> bool:
        return bool((await watched.get("/stats/incidents")).body["open"] == 0)

    await until(is_over, seconds=60)
    slack.misbehave = None
    await slack.until_said("is over: " + FAILED)


async def test_postgres_away_is_one_message_and_one_when_it_is_back(
    serve: Serve, database_url: str, kafka_bootstrap_servers: str, created_topics: QueryTopics, slack: Slack
) -> None:
    limits = Limits(grace_seconds=1)
    async with serve(database_url=database_url, servers=kafka_bootstrap_servers, webhook_url=slack.url, limits=limits) as api:
        assert (await api.get("/health")).body["status"] == "ok"
        close_database(database_url, open_again=False)
        await slack.until_said("postgres has not answered for 1 s")
        close_database(database_url, open_again=True)
        await slack.until_said("postgres has not answered for 1 s", "Over after")


def close_database(url: str, *, open_again: bool) -> None:
    """Let nobody into a database, and put out who is there; or let them in again."""
    name = urlsplit(url).path.removeprefix("/")
    with psycopg.connect(urlsplit(url)._replace(path="/postgres").geturl(), autocommit=True) as server:
        allow = sql.SQL("ALTER DATABASE {} ALLOW_CONNECTIONS {}")
        server.execute(allow.format(sql.Identifier(name), sql.Literal(open_again)))
        if not open_again:
            server.execute("SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = %s", [name])


async def test_a_broker_that_dies_is_one_message_and_one_when_it_is_back(  # on a broker of its own
    serve: Serve,
    database_url: str,
    topics: QueryTopics,
    cursors_topic: str,
    incidents_topic: str,
    slack: Slack,
    database: Any,
    nursery: Nursery,
    kafka_jars: Jars,
) -> None:
    port = free_port()
    with nursery.temporary_folder("kasparro-incidents-") as folder:
        broker = await start_broker(nursery, kafka_jars, folder, port=port)
        connection = KafkaConnection(broker.bootstrap_servers, "incidents-test")
        await ensure_topics(connection, all_topics(topics, cursors_topic, incidents_topic))
        async with serve(
            database_url=database_url,
            servers=broker.bootstrap_servers,
            webhook_url=slack.url,
            limits=Limits(failed_runs=3, grace_seconds=1),
        ):
            await fail_three_times(database)
            await slack.until_said(FAILED)  # it leads
            broker.child.signal(signal.SIGKILL)
            await broker.child.until_ended()
            await slack.until_said(FAILED, "kafka has not answered for 1 s")
            broker = await start_broker(nursery, kafka_jars, folder, port=port)
            await slack.until_said(FAILED, "kafka has not answered for 1 s", "Over after", seconds=90)
            (kafka,) = [one for one in await incidents(connection, incidents_topic) if one.subject == "kafka"]
            assert kafka.told == "over"
        broker.child.signal(signal.SIGKILL)
        await broker.child.until_ended()


async def test_ticks_that_nobody_consumes_are_one_message_and_over_once_they_are_applied(
    serve: Serve,
    database_url: str,
    kafka_bootstrap_servers: str,
    created_topics: QueryTopics,
    slack: Slack,
    connection: KafkaConnection,
) -> None:
    topic = created_topics.raw["csv"]
    async with open_publisher(connection) as publisher:
        (landed,) = await publisher.publish([Record(topic, b"btc", b"{}")])
    async with serve(
        database_url=database_url,
        servers=kafka_bootstrap_servers,
        webhook_url=slack.url,
        stalled_seconds=1,
        limits=Limits(settling_seconds=1),
    ):
        await slack.until_said("Nobody consumes")
        async with open_group_offsets(connection, created_topics.group) as offsets:
            await offsets.commit({Place(topic, landed.partition): landed.offset + 1})
        await slack.until_said("Nobody consumes", "Over after")


async def test_dead_letters_that_rise_are_one_message_and_over_once_they_are_settled(
    watched: Api, slack: Slack, database: Any
) -> None:
    now, long_ago = datetime.now(UTC), datetime.now(UTC) - timedelta(hours=1)
    await upsert_letters(database, [letter(offset, "undecodable", failed_at=long_ago) for offset in range(50)])
    await upsert_letters(database, [letter(offset, "undecodable", failed_at=now) for offset in range(100, 109)])
    await asyncio.sleep(1)
    assert slack.arrived == []
    await upsert_letters(database, [letter(109, "undecodable", failed_at=now)])
    await slack.until_said("10 records of csv were set aside")
    settlement = Settlement(partition=0, settled_at=now + timedelta(seconds=1), redriven=((100, 105),), dropped=((105, 110),))
    await upsert_settlements(database, [(0, settlement)])
    await slack.until_said("10 records of csv were set aside", "Over after")


async def test_without_a_webhook_incidents_are_recorded_all_the_same(
    whole_api: Api, database: Any, connection: KafkaConnection, incidents_topic: str
) -> None:
    await fail_three_times(database)

    async def is_open() -> bool:
        return bool((await whole_api.get("/stats/incidents")).body["open"])

    await until(is_open, seconds=60)
    (recorded,) = await incidents(connection, incidents_topic)
    assert (recorded.key, recorded.told) == ("source-failing/csv", None)
    assert json.loads((await whole_api.get("/stats/incidents")).text)["incidents"][0]["runbook"].endswith("#source-failing")
