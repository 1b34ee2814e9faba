"""What a worker says of itself: idle is well, waiting is not dead, and only one that could go on and does not is not live."""

import asyncio
import os
import socket
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import aiohttp

from libs.devstack.ports import LOOPBACK, free_port
from libs.kafka.connection import KafkaConnection
from libs.kafka.partitioning import partition_of
from libs.kafka.publishing import Publisher
from libs.kafka.transactions import TransactionalClient
from libs.postgres.pool import Pool
from libs.postgres.writing.chunks import LOCK, LOCK_SPACE
from libs.process.clock import SystemClock
from libs.process.outages import OutageBoard
from libs.process.version import installed_version
from libs.telemetry.meters import Meters
from libs.telemetry.serving import HealthAddress, serving_health
from services.normalizer.health import Health
from services.normalizer.wiring import Topics
from tests.conftest import ROOT
from tests.integration.normalizer.conftest import PARTITIONS, count, counting, normalizer_running, raw_tick, record_of
from tests.integration.streaming.conftest import eventually

STALLED_SECONDS = 1.5


class Watched:
    """A worker's health over HTTP."""

    def __init__(self, port: int) -> None:
        self.url = f"http://{LOOPBACK}:{port}"

    async def get(self, path: str) -> tuple[int, dict[str, Any]]:
        async with aiohttp.ClientSession() as session, session.get(self.url + path) as answer:
            body: dict[str, Any] = await answer.json()
            return answer.status, body

    async def says(self, status: str, code: int) -> bool:
        answered, body = await self.get("/health")
        return (body["status"], answered) == (status, code)


@asynccontextmanager
async def watched_normalizer(connection: KafkaConnection, database_url: str, topics: Topics) -> AsyncIterator[Watched]:
    clock, port = SystemClock(), free_port()
    health = Health(clock, OutageBoard(clock), topics.group, STALLED_SECONDS)
    meters = Meters("normalizer", installed_version())
    async with (
        serving_health(health.told, meters, HealthAddress(LOOPBACK, port, "NORMALIZER_HEALTH_PORT")),
        normalizer_running(connection, database_url, topics, health=health, meters=meters),
    ):
        yield Watched(port)


async def test_a_worker_that_has_read_everything_is_well_however_long_it_is_idle(
    connection: KafkaConnection, database_url: str, pool: Pool, topics: Topics
) -> None:
    """The marker of a transaction takes an offset that nobody applies: it is no lag."""
    client = TransactionalClient(connection, topics.group)
    await client.open()
    async with client.transaction() as transaction:
        await transaction.send([record_of(topics.raw["coingecko"], raw_tick("bitcoin", "btc"))])
    await client.close()
    async with watched_normalizer(connection, database_url, topics) as watched:
        await eventually(counting(pool, "assets", 1), "the tick is applied", 40)
        await eventually(lambda: watched.says("ok", 200), "it is well")
        await asyncio.sleep(2 * STALLED_SECONDS)
        status, body = await watched.get("/health")
        assert (status, body["status"], body["phase"]) == (200, "ok", "consuming")
        assert {one["lag_messages"] for one in body["partitions"]} <= {0}
        assert len([one for one in body["partitions"] if one["topic"] == topics.raw["coingecko"]]) == PARTITIONS
        assert (await watched.get("/ready"))[0] == 200
        assert body["dependencies"]["postgres"]["status"] == body["dependencies"]["kafka"]["status"] == "up"


async def test_a_worker_that_could_go_on_and_does_not_is_stalled_and_says_where(
    connection: KafkaConnection, database_url: str, pool: Pool, publisher: Publisher, topics: Topics
) -> None:
    """Another session sits on the lock that the chunk needs: no outage, nothing to retry, and no progress."""
    partition = partition_of(b"btc", PARTITIONS)
    async with watched_normalizer(connection, database_url, topics) as watched:
        await eventually(lambda: watched.says("ok", 200), "it is well")
        async with pool.acquire() as other, other.transaction():
            await other.execute(LOCK, LOCK_SPACE, [partition])
            await publisher.publish([record_of(topics.raw["coingecko"], raw_tick("bitcoin", "btc"))])
            await eventually(lambda: watched.says("stalled", 503), "it is stalled")
            _, body = await watched.get("/health")
            (stuck,) = [one for one in body["partitions"] if one["still_seconds"] >= STALLED_SECONDS]
            assert (stuck["topic"], stuck["partition"], stuck["lag_messages"]) == (topics.raw["coingecko"], partition, 1)
            assert (await watched.get("/ready"))[0] == 503
        await eventually(lambda: watched.says("ok", 200), "it goes on")
    assert await count(pool, "assets") == 1


async def test_a_port_that_is_taken_is_one_line_and_an_exit_code() -> None:
    with socket.socket() as taken:
        taken.bind((LOOPBACK, 0))
        taken.listen()
        port = str(taken.getsockname()[1])
        process = await asyncio.create_subprocess_exec(
            sys.executable,
            "-m",
            "services.normalizer",
            cwd=ROOT,
            env={
                "PATH": os.environ["PATH"],
                "KAFKA_BOOTSTRAP_SERVERS": f"{LOOPBACK}:1",
                "DATABASE_URL": f"postgresql://u:p@{LOOPBACK}:1/d",
                "NORMALIZER_HEALTH_PORT": port,
            },
            stdout=asyncio.subprocess.DEVNULL,
            stderr=asyncio.subprocess.PIPE,
        )
        async with asyncio.timeout(20):
            _, told = await process.communicate()
    assert process.returncode == 1
    assert told.decode().startswith(f"error: cannot listen on {LOOPBACK}:{port}")
    assert "NORMALIZER_HEALTH_PORT" in told.decode()
    assert len(told.decode().splitlines()) == 1
