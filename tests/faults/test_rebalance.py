"""Replicas that come and go under load: 1, 3, 1."""

import asyncio

import pytest

from libs.kafka.groups import SESSION_MS
from libs.streaming.fetching import SESSION_TIMEOUT_MS
from tests.faults.conftest import Stage
from tests.faults.pipeline import POLLED
from tests.faults.processes import Kind

SETTLE_SECONDS = 60.0
TAKEN_OVER_SECONDS = max(SESSION_MS, SESSION_TIMEOUT_MS) / 1000 + 20
"""The session of a dead member, a rebalance, and the work that waited for it."""
pytestmark = pytest.mark.timeout(1800)


@pytest.mark.parametrize("kind", ["normalizer", "coingecko", "coinpaprika"])
async def test_from_one_to_three_and_back_to_one(stage: Stage, kind: Kind) -> None:
    processes, report = stage.pipeline.processes, stage.pipeline.report
    for _ in range(stage.rounds):
        async with stage.fault():
            await stage.a_while()
            for number in (2, 3):
                report.injected(f"one more {kind}")
                processes.start(kind, number)
                await stage.a_while(0.5, 4)
            gone = stage.random.sample((1, 2, 3), k=2)
            await stage.a_while(1, 4)
            await stage.end(kind, "SIGTERM", gone[0])
            await stage.a_while(0, 2)
            await stage.end(kind, "SIGKILL", gone[1])
            await stage.a_while()
        await back_to_the_first(stage, kind)


@pytest.mark.parametrize("kind", ["normalizer", "coingecko"])
async def test_what_a_dead_replica_held_is_taken_over_within_its_session(stage: Stage, kind: Kind) -> None:
    """A run of each source needs every shard and every partition: it does not end before all have an owner."""
    pipeline = stage.pipeline
    for _ in range(stage.rounds):
        async with stage.fault():
            for number in (2, 3):
                pipeline.processes.start(kind, number)
            await stage.a_while(5, 7)
            await pipeline.until_ended(set(pipeline.asked_for), SETTLE_SECONDS)
            await stage.end(kind, "SIGKILL", await one_at_work(stage, kind))
            began = asyncio.get_running_loop().time()
            asked = {await pipeline.ask_for_run(source) for source in POLLED}
            await pipeline.until_ended(asked, TAKEN_OVER_SECONDS)
            pipeline.report.step(f"taken over after {asyncio.get_running_loop().time() - began:.1f} s")
        await back_to_the_first(stage, kind)


async def one_at_work(stage: Stage, kind: Kind) -> int:
    """Return a replica without which no run ends: each normalizer has partitions, but not each producer has shards."""
    pipeline = stage.pipeline
    numbers = pipeline.processes.numbers(kind)
    if kind in POLLED:
        run_id = await pipeline.ask_for_run(kind)
        await pipeline.until_ended({run_id}, SETTLE_SECONDS)
        numbers = [number for number in numbers if str(run_id) in pipeline.processes.log_of(kind, number).read_text()]
        assert len(numbers) > 1, "one replica did all the work, so they share nothing"
    return stage.random.choice(numbers)


async def back_to_the_first(stage: Stage, kind: Kind) -> None:
    """Leave one replica, and let it be number 1."""
    processes = stage.pipeline.processes
    for number in set(processes.numbers(kind)) - {1}:
        await processes.terminate(kind, number)
    stage.pipeline.start_missing()
