"""What a producer says of itself over HTTP: Kafka away is waiting, a fetch that never ends is a stall."""

import asyncio
import os
import sys
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, replace
from typing import Any

import aiohttp
import pytest
from aiokafka import AIOKafkaConsumer
from aiokafka.errors import KafkaError

from libs.devstack.ports import LOOPBACK, free_port
from libs.kafka.connection import KafkaConnection
from libs.kafka.end_probe import open_end_probe
from libs.process.clock import SystemClock
from libs.process.outages import OutageBoard
from libs.producing.fetching import Answer, FetchFailedError, Permit
from libs.producing.health import ProducerHealth, watching
from libs.producing.replica import Replica
from libs.producing.telling import Telling, telling_of
from libs.sources import coingecko
from libs.sources.source import Source
from libs.telemetry.serving import HealthAddress
from tests.conftest import ROOT
from tests.exposition import Exposition
from tests.integration.producing.bench import UNLIMITED, Bench
from tests.integration.streaming.conftest import eventually

STALLED_SECONDS = 1.5
DEADLINE_SECONDS = 60


@dataclass
class Hangs:
    """A fetcher with a bug: it waits for what never comes."""

    source: Source
    let_go: asyncio.Event

    async def shards(self) -> Sequence[str]:
        return ["1"]

    async def fetch(self, shard: str, permit: Permit) -> Answer:  # noqa: ARG002 a Fetcher is given them
        await self.let_go.wait()
        now = SystemClock().utc()
        return Answer([], fetched_at=now, updated_at=now)


@dataclass(frozen=True)
class Watched:
    """A producer over HTTP."""

    url: str

    async def get(self, path: str) -> tuple[int, str]:
        async with aiohttp.ClientSession() as session, session.get(self.url + path) as answer:
            return answer.status, await answer.text()

    async def says(self, status: str, health: int, ready: int) -> bool:
        told = Exposition((await self.get("/metrics"))[1])
        by_status = {labels["status"]: value for labels, value in told.all_of("kasparro_health_status")}
        codes = (await self.get("/health"))[0], (await self.get("/ready"))[0]
        return (by_status[status], sum(by_status.values()), *codes) == (1, 1, health, ready)


@asynccontextmanager
async def watched(replica: Replica, telling: Telling) -> AsyncIterator[Watched]:
    port = free_port()
    async with telling.serving(HealthAddress(LOOPBACK, port, "PORT")):
        running = asyncio.create_task(replace(replica, telling=telling).run())
        try:
            yield Watched(f"http://{LOOPBACK}:{port}")
        finally:
            running.cancel()
            await asyncio.gather(running, return_exceptions=True)


async def test_a_fetch_that_never_ends_is_a_stall_and_no_other_wait_is(bench: Bench) -> None:
    fetcher = Hangs(bench.named(coingecko.SOURCE), asyncio.Event())
    telling = telling_of("producer-test", bench.source, SystemClock())
    telling.health.stalled_seconds = STALLED_SECONDS
    async with watched(bench.replica(fetcher), telling) as producer:
        await eventually(lambda: producer.says("ok", 200, 200), "it is in its group", DEADLINE_SECONDS)
        await asyncio.sleep(2 * STALLED_SECONDS)
        assert await producer.says("ok", 200, 200)
        run_id = await bench.command()
        await eventually(lambda: producer.says("stalled", 503, 503), "it is stalled", DEADLINE_SECONDS)
        fetcher.let_go.set()
        await eventually(lambda: producer.says("ok", 200, 200), "it goes on", DEADLINE_SECONDS)
        assert (await bench.story(run_id)).counts() == (0, 0, 0, 0)


@dataclass
class Refused:
    """A fetcher whose provider refuses us."""

    source: Source

    async def shards(self) -> Sequence[str]:
        return ["1"]

    async def fetch(self, shard: str, permit: Permit) -> Answer:  # noqa: ARG002 a Fetcher is given them
        raise FetchFailedError("401 Unauthorized")


async def test_a_shard_that_a_provider_refuses_is_counted_as_failed(bench: Bench) -> None:
    async with watched(
        bench.replica(Refused(bench.named(coingecko.SOURCE))), telling_of("producer-test", bench.source, SystemClock())
    ) as producer:
        assert (await bench.story(await bench.command())).errors == ["401 Unauthorized"]
        told = Exposition((await producer.get("/metrics"))[1])
        assert told.value("kasparro_shards_total", source=bench.source, outcome="failed") == 1


async def test_without_kafka_it_waits_and_is_not_to_be_restarted(bench: Bench) -> None:
    nobody = KafkaConnection(f"{LOOPBACK}:1", "nobody", request_timeout_ms=1_000)
    fetcher: Any = Hangs(bench.named(coingecko.SOURCE), asyncio.Event())
    replica = Replica(fetcher, nobody, bench.topics, UNLIMITED, None, SystemClock())
    async with watched(replica, telling_of("producer-test", bench.source, SystemClock())) as producer:
        await eventually(lambda: producer.says("waiting", 200, 503), "it waits", DEADLINE_SECONDS)
        told = Exposition((await producer.get("/metrics"))[1])
        assert told.value("kasparro_dependency_up", dependency="kafka") == 0
        assert (told.value("kasparro_outage_seconds", dependency="kafka") or 0) > 0


async def test_an_error_without_a_reason_is_waited_out_with_another_connection(
    bench: Bench, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A look at Kafka must not end the producer."""
    asked: list[AIOKafkaConsumer] = []
    clock = SystemClock()
    health = ProducerHealth(clock, OutageBoard(clock))
    health.joined([])

    async def fail(consumer: AIOKafkaConsumer, _: object) -> dict[object, int]:
        asked.append(consumer)
        raise KafkaError("unknown")

    async def says(status: str) -> bool:
        return health.look() == status

    async def twice() -> bool:
        return len(asked) > 1

    async with open_end_probe(bench.connection) as probe, watching(health, probe, bench.topics.commands.name):
        with monkeypatch.context() as broken:
            broken.setattr(AIOKafkaConsumer, "end_offsets", fail)
            await eventually(lambda: says("waiting"), "it waits", DEADLINE_SECONDS)
            await eventually(twice, "it asks again", DEADLINE_SECONDS)
        await eventually(lambda: says("ok"), "it is well again", DEADLINE_SECONDS)
    assert asked[0] is not asked[1]


async def test_the_process_serves_where_its_settings_say(tmp_path: Any) -> None:
    port = free_port()
    process = await asyncio.create_subprocess_exec(
        sys.executable,
        *("-m", "services.producers.csv"),
        cwd=ROOT,
        env={
            "PATH": os.environ["PATH"],
            "KAFKA_BOOTSTRAP_SERVERS": f"{LOOPBACK}:1",
            "CSV_PATH": str(tmp_path / "none.csv"),
            "PRODUCER_HEALTH_PORT": str(port),
        },
        stderr=asyncio.subprocess.DEVNULL,
    )
    try:
        producer = Watched(f"http://{LOOPBACK}:{port}")

        async def answers() -> bool:
            try:
                _, text = await producer.get("/metrics")
            except aiohttp.ClientConnectorError:
                return False
            return Exposition(text).value("kasparro_dependency_up", dependency="kafka") == 0

        await eventually(answers, "it tells of itself", DEADLINE_SECONDS)
        _, text = await producer.get("/metrics")
        assert Exposition(text).all_of("kasparro_build_info")[0][0]["service"] == "producer-csv"
    finally:
        process.terminate()
        await process.wait()
