"""The whole way of one source in one process: a producer, a normalizer, the API, on topics of their own, with their /metrics."""

import asyncio
import json
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass, replace
from datetime import timedelta
from typing import Any
from uuid import uuid4

import aiohttp
from aiohttp.test_utils import TestClient, TestServer

from libs.contracts.topics import (
    ASSETS_NORMALIZED,
    CURSORS,
    DEAD_LETTERS,
    GAPS,
    INCIDENTS,
    RUN_EVENTS,
    SETTLEMENTS,
    SOURCE_TOPICS,
    Topic,
)
from libs.devstack.ports import LOOPBACK, free_port
from libs.kafka.admin import ensure_topics
from libs.kafka.connection import KafkaConnection
from libs.kafka.end_probe import open_end_probe
from libs.kafka.lag import open_lag_reader
from libs.kafka.publishing import open_publisher
from libs.kafka.tailing import Start, open_tail
from libs.postgres.pool import open_pool
from libs.process.clock import SystemClock
from libs.process.outages import OutageBoard
from libs.producing.provider import Provider, open_session
from libs.producing.quota import Budget
from libs.producing.replica import Replica
from libs.producing.telling import telling_of
from libs.producing.topics import ProducerTopics
from libs.telemetry.meters import Meters
from libs.telemetry.serving import HealthAddress, serving_health
from libs.telemetry.tracing import UNRECORDED, Tracer
from services.normalizer.health import Health
from services.normalizer.wiring import Limits, Topics, run_normalizer
from services.producers.coingecko.fetcher import CoinGecko
from services.query.access import Access
from services.query.app import Openers, create_app
from services.query.topics import QueryTopics
from tests.exposition import Exposition
from tests.integration.producing.provider_server import ProviderServer

SOURCE = "coingecko"
BUDGET = Budget(per_minute=30, per_month=1_000)
PARTITIONS = 3


@dataclass(frozen=True)
class Names:
    """Every topic by what it is; the other sources' are there too, and empty."""

    mark: str

    def of(self, topic: Topic) -> str:
        return f"{topic.name}.{self.mark}"

    @property
    def declared(self) -> list[Topic]:
        ours = [replace(SOURCE_TOPICS[SOURCE].raw, partitions=PARTITIONS), replace(ASSETS_NORMALIZED, partitions=PARTITIONS)]
        others = [replace(one, partitions=1) for source, topics in SOURCE_TOPICS.items() for one in (topics.raw, topics.commands)]
        shared = [RUN_EVENTS, CURSORS, SETTLEMENTS, GAPS, INCIDENTS, replace(DEAD_LETTERS, partitions=1)]
        by_name = {topic.name: topic for topic in (*others, *ours, *shared)}
        return [replace(topic, name=self.of(topic)) for topic in by_name.values()]

    def producer(self) -> ProducerTopics:
        own = SOURCE_TOPICS[SOURCE]
        topics = (own.raw, own.commands, RUN_EVENTS, CURSORS, DEAD_LETTERS, GAPS)
        return ProducerTopics(*(replace(topic, name=self.of(topic)) for topic in topics))

    def normalizer(self) -> Topics:
        return Topics(
            raw={SOURCE: self.of(SOURCE_TOPICS[SOURCE].raw)},
            assets=self.of(ASSETS_NORMALIZED),
            dead_letters=self.of(DEAD_LETTERS),
            runs=self.of(RUN_EVENTS),
            settlements=self.of(SETTLEMENTS),
            gaps=self.of(GAPS),
            group=f"normalizer-{self.mark}",
            partitions=PARTITIONS,
        )

    def query(self) -> QueryTopics:
        return QueryTopics(
            commands={source: self.of(topics.commands) for source, topics in SOURCE_TOPICS.items()},
            raw={source: self.of(topics.raw) for source, topics in SOURCE_TOPICS.items()},
            run_events=self.of(RUN_EVENTS),
            group=f"normalizer-{self.mark}",
        )


@dataclass(frozen=True)
class Pipeline:
    """What runs, by where it tells of itself."""

    names: Names
    connection: KafkaConnection
    api: "TestClient[Any, Any]"
    producer_url: str
    normalizer_url: str
    session: aiohttp.ClientSession

    async def scrape(self, url: str) -> Exposition:
        async with self.session.get(f"{url}/metrics") as answer:
            assert answer.status == 200
            return Exposition(await answer.text())

    async def producer(self) -> Exposition:
        return await self.scrape(self.producer_url)

    async def normalizer(self) -> Exposition:
        return await self.scrape(self.normalizer_url)

    async def query(self) -> Exposition:
        return await self.scrape(str(self.api.make_url("")).rstrip("/"))

    async def health(self, url: str) -> tuple[int, Any]:
        async with self.session.get(f"{url}/health") as answer:
            return answer.status, json.loads(await answer.text())


@asynccontextmanager
async def pipeline_running(
    kafka_bootstrap_servers: str, database_url: str, server: ProviderServer, *, tracer: Tracer = UNRECORDED
) -> AsyncIterator[Pipeline]:
    names, connection = Names(uuid4().hex[:8]), KafkaConnection(kafka_bootstrap_servers, "telemetry-test")
    await ensure_topics(connection, names.declared)
    async with AsyncExitStack() as stack:
        tasks: list[asyncio.Task[None]] = []
        stack.push_async_callback(_ended, tasks)
        tasks.append(asyncio.create_task(await _producer(stack, names, connection, server, ports := _Ports(), tracer)))
        tasks.append(asyncio.create_task(await _normalizer(stack, names, connection, database_url, ports, tracer)))
        api = await stack.enter_async_context(TestClient(TestServer(_query(names, connection, database_url, tracer))))
        session = await stack.enter_async_context(aiohttp.ClientSession())
        yield Pipeline(names, connection, api, ports.url(ports.producer), ports.url(ports.normalizer), session)


class _Ports:
    def __init__(self) -> None:
        self.producer, self.normalizer = free_port(), free_port()

    def address(self, port: int) -> HealthAddress:
        return HealthAddress(LOOPBACK, port, "PORT")

    def url(self, port: int) -> str:
        return f"http://{LOOPBACK}:{port}"


async def _producer(
    stack: AsyncExitStack, names: Names, connection: KafkaConnection, server: ProviderServer, ports: _Ports, tracer: Tracer
) -> Any:
    clock = SystemClock()
    telling = replace(telling_of("producer-coingecko", SOURCE, clock), tracer=tracer)
    session = await stack.enter_async_context(open_session(server.base_url))
    provider = Provider("Test", server.base_url, "URL", "KEY", session, clock, measures=telling.measures)
    await stack.enter_async_context(telling.serving(ports.address(ports.producer)))
    return Replica(CoinGecko(provider, 3), connection, names.producer(), BUDGET, None, clock, telling=telling).run()


async def _normalizer(
    stack: AsyncExitStack, names: Names, connection: KafkaConnection, database_url: str, ports: _Ports, tracer: Tracer
) -> Any:
    clock, topics, meters = SystemClock(), names.normalizer(), Meters("normalizer", "test")
    health = Health(clock, OutageBoard(clock), topics.group, 180.0)
    await stack.enter_async_context(serving_health(health.told, meters, ports.address(ports.normalizer)))
    limits = Limits(retry_ceiling=timedelta(seconds=0.5))
    return run_normalizer(
        connection, database_url, clock, topics=topics, limits=limits, health=health, meters=meters, tracer=tracer
    )


def _query(names: Names, connection: KafkaConnection, database_url: str, tracer: Tracer) -> Any:
    openers = Openers(
        pool=lambda: open_pool(database_url, application="test", connections=4, statement_seconds=5, read_only=True),
        publisher=lambda: open_publisher(connection, timeout_seconds=5),
        lag=lambda: open_lag_reader(connection),
        run_events=lambda: open_tail(connection, names.of(RUN_EVENTS), start=Start.END),
        cursors=lambda: open_tail(connection, names.of(CURSORS), start=Start.BEGINNING),
        incidents=lambda: open_tail(connection, names.of(INCIDENTS), start=Start.BEGINNING),
        assets=lambda: open_tail(connection, names.of(ASSETS_NORMALIZED), start=Start.BEGINNING),
        ends=lambda: open_end_probe(connection),
    )
    return create_app(
        openers,
        topics=names.query(),
        access=Access(None, open_to_all=True),
        clock=SystemClock(),
        sandbox=False,
        stalled_seconds=180.0,
        taken_within_seconds=60.0,
        tracer=tracer,
    )


async def _ended(tasks: list["asyncio.Task[None]"]) -> None:
    for task in tasks:
        task.cancel()
    await asyncio.gather(*tasks, return_exceptions=True)
