"""The broker dies and comes back; the producer's process is killed at any moment. On a broker of this module's own."""

import asyncio
import json
import os
import random
import signal
import sys
from collections import Counter
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from uuid import UUID

import pytest
from aiohttp import web

from libs.contracts.run_events import ShardPublished
from libs.contracts.topics import TOPICS
from libs.devstack.broker import Jars, start_broker
from libs.devstack.children import Nursery
from libs.devstack.ports import free_port
from libs.kafka.admin import ensure_topics
from libs.kafka.connection import KafkaConnection
from libs.kafka.errors import KafkaUnreachableError
from libs.producing.topics import topics_of
from libs.sources.coingecko import SOURCE
from services.producers.coingecko.fetcher import CoinGecko
from tests.integration.producing.bench import Bench, coins, open_bench
from tests.integration.producing.provider_server import answer

ROOT = Path(__file__).parents[3]


@dataclass
class FragileBroker:
    """A broker that a test may kill and start again at the same address."""

    nursery: Nursery
    jars: Jars
    folder: Path
    port: int

    @property
    def address(self) -> str:
        return f"127.0.0.1:{self.port}"

    async def start(self) -> None:
        self.broker = await start_broker(self.nursery, self.jars, self.folder, port=self.port)

    def kill(self) -> None:
        self.broker.child.signal(signal.SIGKILL)
        self.broker.child.process.wait()


@pytest.fixture(scope="module")
def fragile_broker(nursery: Nursery, kafka_jars: Jars, session_folder: Path) -> Iterator[FragileBroker]:
    broker = FragileBroker(nursery, kafka_jars, session_folder / "fragile-kafka", free_port())
    asyncio.run(broker.start())
    yield broker
    broker.kill()


@pytest.mark.parametrize("moment", ["before the command", "while the provider answers"])
async def test_a_broker_that_dies_is_waited_for_and_the_run_is_made_once(fragile_broker: FragileBroker, moment: str) -> None:
    async with open_bench(fragile_broker.address) as bench:
        hold = asyncio.Event()

        async def held_answer(_: web.Request) -> web.StreamResponse:
            await hold.wait()
            return web.Response(text=json.dumps(coins(range(80))), content_type="application/json")

        bench.server.respond["/coins/markets?page=1"] = held_answer
        replica = bench.start(CoinGecko(bench.provider(), 100, bench.named(SOURCE)))
        await bench.joined(1)
        if moment == "before the command":
            fragile_broker.kill()
            await asyncio.sleep(1)
            await fragile_broker.start()
            run_id = await published_at_last(bench)
        else:
            run_id = await bench.command()
            async with asyncio.timeout(30):
                await bench.server.asked.wait()
            fragile_broker.kill()
            hold.set()
            await asyncio.sleep(1)
            await fragile_broker.start()
        hold.set()
        story = await bench.story(run_id)
        assert story.counts() == (80, 0, 80, 0)
        assert len(await bench.ticks()) == 80
        assert (await bench.run()).counts() == (80, 80, 0, 0)
        assert not replica.done()


async def published_at_last(bench: Bench) -> UUID:
    async with asyncio.timeout(30):
        while True:
            try:
                return await bench.command()
            except KafkaUnreachableError:
                await asyncio.sleep(0.2)


async def test_a_process_killed_at_any_moment_loses_and_doubles_nothing(fragile_broker: FragileBroker) -> None:
    """Every answer is new; after the last kill each listing's newest content is there, and no content twice."""
    connection = KafkaConnection(fragile_broker.address, "tests")
    await ensure_topics(connection, TOPICS)
    seeded = random.Random(1)
    async with open_bench(fragile_broker.address) as opened:
        bench = replace(opened, topics=topics_of("coingecko"), source="coingecko")
        version = 0

        async def newer(_: web.Request) -> web.StreamResponse:
            nonlocal version
            version += 1
            return web.Response(text=json.dumps(coins(range(250), price=version)), content_type="application/json")

        bench.server.respond["/coins/markets"] = newer
        for _ in range(4):
            async with producer_process(bench, fragile_broker.address) as process:
                for _ in range(3):
                    await bench.command()
                await asyncio.sleep(seeded.uniform(0.6, 2.5))
                process.kill()
        async with producer_process(bench, fragile_broker.address):
            last = await bench.run()
        assert last.counts()[0] == 250
        ticks = [tick for tick in await bench.ticks() if tick.source_id in {f"coin-{number}" for number in range(250)}]
        assert {tick_id: times for tick_id, times in Counter(tick.tick_id for tick in ticks).items() if times > 1} == {}
        newest = {tick.source_id: tick.payload["current_price"] for tick in ticks}
        assert set(newest.values()) == {version}
        assert len(newest) == 250
        told = Counter((event.run_id, event.shard) for event in await bench.stories() if isinstance(event, ShardPublished))
        assert set(told.values()) == {1}
        assert await bench.requests_counted() >= len(bench.server.requests)


async def test_a_dead_replicas_shards_are_taken_over_within_its_session(fragile_broker: FragileBroker) -> None:
    await ensure_topics(KafkaConnection(fragile_broker.address, "tests"), TOPICS)
    async with open_bench(fragile_broker.address) as opened:
        bench = replace(opened, topics=topics_of("coingecko"), source="coingecko")

        async def slow(request: web.Request) -> web.StreamResponse:
            await asyncio.sleep(0.3)
            first = 1_000 * int(request.query["page"])
            return web.Response(text=json.dumps(coins(range(first, first + 250))))

        bench.server.respond["/coins/markets"] = slow
        async with (
            producer_process(bench, fragile_broker.address, top_n=2_000) as dying,
            producer_process(bench, fragile_broker.address, top_n=2_000),
        ):
            await bench.joined(2)
            run_id = await bench.command()
            async with asyncio.timeout(30):
                await bench.server.asked.wait()
            dying.kill()
            story = await bench.story(run_id)
        assert Counter(event.shard for event in story.published) == {str(page): 1 for page in range(1, 9)}
        assert story.counts() == (2_000, 0, 2_000, 0)


@asynccontextmanager
async def producer_process(bench: Bench, address: str, *, top_n: int = 250) -> AsyncIterator[asyncio.subprocess.Process]:
    environment = {
        **os.environ,
        "KAFKA_BOOTSTRAP_SERVERS": address,
        "COINGECKO_BASE_URL": bench.server.base_url,
        "COINGECKO_TOP_N": str(top_n),
        "COINGECKO_REQUESTS_PER_MINUTE": "1000",
        "ETL_ENABLED": "false",
    }
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-m", "services.producers.coingecko", cwd=ROOT, env=environment, stderr=asyncio.subprocess.DEVNULL
    )
    try:
        yield process
    finally:
        if process.returncode is None:
            process.terminate()
        await asyncio.wait_for(process.wait(), 15)


async def test_sigterm_ends_a_producer_cleanly_with_a_poll_in_its_hands(fragile_broker: FragileBroker) -> None:
    await ensure_topics(KafkaConnection(fragile_broker.address, "tests"), TOPICS)
    async with open_bench(fragile_broker.address) as opened:
        bench = replace(opened, topics=topics_of("coingecko"), source="coingecko")

        async def never(_: web.Request) -> web.StreamResponse:
            await asyncio.Event().wait()
            raise AssertionError

        bench.server.respond["/coins/markets"] = never
        async with producer_process(bench, fragile_broker.address) as process:
            await bench.command()
            async with asyncio.timeout(40):
                await bench.server.asked.wait()
        assert process.returncode == 0
        bench.server.respond["/coins/markets"] = answer(json.dumps(coins(range(3))))
