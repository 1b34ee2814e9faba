"""GET /metrics of a worker while it waits, and what it says of the lag while it works."""

from datetime import UTC, datetime, timedelta

import aiohttp

from libs.devstack.ports import LOOPBACK, free_port
from libs.kafka.connection import KafkaConnection
from libs.kafka.partitioning import partition_of
from libs.kafka.publishing import Publisher
from libs.postgres.pool import Pool
from libs.postgres.writing.chunks import LOCK, LOCK_SPACE
from libs.process.clock import SystemClock
from libs.process.outages import OutageBoard
from libs.telemetry.meters import Meters
from libs.telemetry.serving import HealthAddress, serving_health
from services.normalizer.health import Health
from services.normalizer.wiring import Topics
from tests.exposition import Exposition
from tests.integration.normalizer.conftest import PARTITIONS, normalizer_running, raw_tick, record_of
from tests.integration.streaming.conftest import eventually

NO_DATABASE = f"postgresql://nobody:nothing@{LOOPBACK}:1/none"
DEADLINE_SECONDS = 60


class Worker:
    """What a worker in this process tells of itself."""

    def __init__(self, topics: Topics) -> None:
        clock = SystemClock()
        self.meters = Meters("normalizer", "test")
        self.health = Health(clock, OutageBoard(clock), topics.group, 180.0)
        self.port = free_port()

    async def scrape(self) -> Exposition:
        url = f"http://{LOOPBACK}:{self.port}/metrics"
        async with aiohttp.ClientSession() as session, session.get(url) as answer:
            assert answer.status == 200
            return Exposition(await answer.text())


async def test_a_worker_without_postgres_says_so(connection: KafkaConnection, topics: Topics) -> None:
    worker = Worker(topics)
    async with (
        serving_health(worker.health.told, worker.meters, HealthAddress(LOOPBACK, worker.port, "PORT")),
        normalizer_running(connection, NO_DATABASE, topics, health=worker.health, meters=worker.meters),
    ):

        async def waits() -> bool:
            told = await worker.scrape()
            return told.value("kasparro_dependency_up", dependency="postgres") == 0

        async def has_kafka() -> bool:
            return (await worker.scrape()).value("kasparro_dependency_up", dependency="kafka") == 1

        await eventually(waits, "it says that Postgres is away", DEADLINE_SECONDS)
        await eventually(has_kafka, "it says that Kafka is there", DEADLINE_SECONDS)
        told = await worker.scrape()
        assert told.value("kasparro_health_status", status="waiting") == 1
        assert (told.value("kasparro_outage_seconds", dependency="postgres") or 0) > 0


async def test_the_lag_is_the_age_of_the_oldest_unapplied_tick_and_falls_to_0(
    connection: KafkaConnection, database_url: str, pool: Pool, publisher: Publisher, topics: Topics
) -> None:
    """Another session sits on the lock that the chunk needs, so that there is something to see."""
    topic, partition = topics.raw["coingecko"], partition_of(b"btc", PARTITIONS)
    labels = {"topic": topic, "partition": str(partition)}
    worker = Worker(topics)

    async def lag_is(messages: int) -> bool:
        return (await worker.scrape()).value("kasparro_consumer_lag_messages", **labels) == messages

    async with (
        serving_health(worker.health.told, worker.meters, HealthAddress(LOOPBACK, worker.port, "PORT")),
        normalizer_running(connection, database_url, topics, health=worker.health, meters=worker.meters),
    ):
        await eventually(lambda: lag_is(0), "it has nothing to do", DEADLINE_SECONDS)
        async with pool.acquire() as other, other.transaction():
            await other.execute(LOCK, LOCK_SPACE, [partition])
            hour_old = raw_tick("bitcoin", "btc", at=datetime.now(UTC) - timedelta(hours=1))
            await publisher.publish([record_of(topic, hour_old)])
            await eventually(lambda: lag_is(1), "it has something to do", DEADLINE_SECONDS)

            async def is_read() -> bool:
                return (await worker.scrape()).value("kasparro_consumer_lag_seconds", **labels) is not None

            await eventually(is_read, "it has read it", DEADLINE_SECONDS)
            told = await worker.scrape()
            assert 3_600 <= (told.value("kasparro_consumer_lag_seconds", **labels) or 0) < 3_600 + DEADLINE_SECONDS * 10
            assert 0 <= (told.value("kasparro_consumer_wait_seconds", **labels) or 0) < DEADLINE_SECONDS * 10
            assert told.value("kasparro_ticks_total", source="coingecko", outcome="stored") == 0
        await eventually(lambda: lag_is(0), "it has caught up", DEADLINE_SECONDS)
        told = await worker.scrape()
        assert told.value("kasparro_consumer_lag_seconds", **labels) == 0
        assert told.value("kasparro_consumer_wait_seconds", **labels) == 0
        assert told.value("kasparro_consumer_still_seconds", **labels) == 0
        assert told.value("kasparro_ticks_total", source="coingecko", outcome="stored") == 1
