from collections.abc import AsyncIterator, Callable
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from dataclasses import replace
from typing import Any
from uuid import uuid4

import pytest
from aiohttp.test_utils import TestClient, TestServer
from pydantic import SecretStr

from libs.alerting.findings import Limits
from libs.alerting.leading import IncidentWatch
from libs.alerting.webhook import open_webhook_if_any
from libs.contracts.topics import ASSETS_NORMALIZED, CURSORS, INCIDENTS, RUN_EVENTS, SOURCE_TOPICS, Topic
from libs.kafka.admin import ensure_topics
from libs.kafka.clients import METADATA_SECONDS
from libs.kafka.connection import KafkaConnection
from libs.kafka.end_probe import open_end_probe
from libs.kafka.lag import open_lag_reader
from libs.kafka.publishing import open_publisher
from libs.kafka.tailing import Start, open_tail
from libs.postgres.pool import open_pool
from libs.process.clock import Clock, SystemClock
from libs.sources.catalogue import running
from services.query.access import Access
from services.query.app import Openers, create_app
from services.query.topics import QueryTopics
from services.query.watching import Lookout
from tests.integration.query import rows
from tests.integration.query.answers import Api

NOBODY_LISTENS = "127.0.0.1:1"
NO_DATABASE = "postgresql://nobody:nothing@127.0.0.1:1/none"

Serve = Callable[..., AbstractAsyncContextManager[Api]]


@pytest.fixture
def topics() -> QueryTopics:
    """Topics and a group that no other test has."""
    mark = uuid4().hex[:8]
    return QueryTopics(
        commands={source: f"etl.commands.{source}.{mark}" for source in SOURCE_TOPICS},
        raw={source: f"ticks.raw.{source}.{mark}" for source in SOURCE_TOPICS},
        run_events=f"etl.runs.{mark}",
        group=f"normalizer-{mark}",
    )


@pytest.fixture
def cursors_topic(topics: QueryTopics) -> str:
    return topics.run_events.replace("etl.runs", "etl.cursors")


@pytest.fixture
def incidents_topic(topics: QueryTopics) -> str:
    return topics.run_events.replace("etl.runs", "etl.incidents")


@pytest.fixture
def assets_topic(topics: QueryTopics) -> str:
    return topics.run_events.replace("etl.runs", "assets.normalized")


@pytest.fixture
def connection(kafka_bootstrap_servers: str) -> KafkaConnection:
    return KafkaConnection(kafka_bootstrap_servers, "query-test")


def all_topics(topics: QueryTopics, cursors_topic: str, incidents_topic: str) -> list[Topic]:
    """Declare them under a test's own names."""
    raw = [replace(SOURCE_TOPICS[source].raw, name=name, partitions=2) for source, name in topics.raw.items()]
    commands = [replace(SOURCE_TOPICS[source].commands, name=name) for source, name in topics.commands.items()]
    single = ((RUN_EVENTS, topics.run_events), (CURSORS, cursors_topic), (INCIDENTS, incidents_topic))
    assets = replace(ASSETS_NORMALIZED, name=topics.run_events.replace("etl.runs", "assets.normalized"), partitions=3)
    return [*raw, *commands, assets, *(replace(topic, name=name) for topic, name in single)]


@pytest.fixture
async def created_topics(
    topics: QueryTopics, cursors_topic: str, incidents_topic: str, connection: KafkaConnection
) -> QueryTopics:
    await ensure_topics(connection, all_topics(topics, cursors_topic, incidents_topic))
    return topics


@pytest.fixture
def serve(topics: QueryTopics, cursors_topic: str, incidents_topic: str, assets_topic: str) -> Serve:
    """Start the service, by default with nothing to depend on, and with pages of what was written before they were asked for."""

    @asynccontextmanager
    async def serve(
        *,
        database_url: str = NO_DATABASE,
        servers: str = NOBODY_LISTENS,
        access: Access | None = None,
        sandbox: bool = False,
        taken_within_seconds: float = 1.0,
        oldest_page_seconds: float = 0.0,
        clock: Clock = SystemClock(),  # noqa: B008 - without state
        stalled_seconds: float = 180.0,
        kafka_seconds: float = 2.0,
        webhook_url: str | None = None,
        limits: Limits = Limits(),  # noqa: B008 - frozen
        look_seconds: float = 0.2,
        sources: tuple[str, ...] = running(()),
        stream_clients: int = 1_000,
        metadata_seconds: float = METADATA_SECONDS,
    ) -> AsyncIterator[Api]:
        @asynccontextmanager
        async def watch(lookout: Lookout) -> AsyncIterator[IncidentWatch]:
            url = None if webhook_url is None else SecretStr(webhook_url)
            async with open_webhook_if_any(url, lookout.clock) as webhook:
                yield IncidentWatch(
                    kafka,
                    lookout.look,
                    limits,
                    "docs/operations.md",
                    webhook,
                    lookout.clock,
                    topic=incidents_topic,
                    group=incidents_topic,
                    look_seconds=look_seconds,
                )

        kafka = KafkaConnection(servers, "query-test", request_timeout_ms=int(1_000 * kafka_seconds))
        openers = Openers(
            pool=lambda: open_pool(database_url, application="query-test", connections=4, statement_seconds=5, read_only=True),
            publisher=lambda: open_publisher(kafka, timeout_seconds=kafka_seconds),
            lag=lambda: open_lag_reader(kafka),
            run_events=lambda: open_tail(kafka, topics.run_events, start=Start.END),
            cursors=lambda: open_tail(kafka, cursors_topic, start=Start.BEGINNING),
            incidents=lambda: open_tail(kafka, incidents_topic, start=Start.BEGINNING),
            assets=lambda: open_tail(kafka, assets_topic, start=Start.BEGINNING, metadata_seconds=metadata_seconds),
            ends=lambda: open_end_probe(kafka),
            watch=watch,
        )
        allowed = access or Access(None, open_to_all=True)
        app = create_app(
            openers,
            topics=topics,
            access=allowed,
            clock=clock,
            sandbox=sandbox,
            stalled_seconds=stalled_seconds,
            taken_within_seconds=taken_within_seconds,
            oldest_page_seconds=oldest_page_seconds,
            sources=sources,
            stream_clients=stream_clients,
        )
        async with TestClient(TestServer(app)) as client:
            yield Api(client)

    return serve


@pytest.fixture
async def api(serve: Serve, database_url: str) -> AsyncIterator[Api]:
    """The service with a database; Kafka is away."""
    async with serve(database_url=database_url) as api:
        yield api


@pytest.fixture
async def whole_api(
    serve: Serve, database_url: str, kafka_bootstrap_servers: str, created_topics: QueryTopics
) -> AsyncIterator[Api]:
    """The service with everything."""
    async with serve(database_url=database_url, servers=kafka_bootstrap_servers) as api:
        yield api


@pytest.fixture
async def database(database_url: str) -> AsyncIterator[Any]:
    connection = await rows.connect(database_url)
    yield connection
    await connection.close()
