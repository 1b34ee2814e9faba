"""When runs happen of their own accord."""

import asyncio
import json
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import replace
from datetime import timedelta
from itertools import pairwise

import pytest

from libs.contracts.run_events import RunRequested, RunSkipped
from libs.domain.runs import Trigger
from libs.kafka.errors import KafkaUnreachableError
from libs.kafka.tailing import Start, open_tail
from libs.kafka.transactions import Transaction, TransactionalClient
from libs.producing.quota import Budget
from libs.producing.schedule import START_UP_PAUSE
from libs.sources.coingecko import SOURCE
from services.producers.coingecko.fetcher import CoinGecko
from tests.integration.producing.bench import Ahead, Bench, MovedClock, coins, event_in
from tests.integration.producing.provider_server import answer


def coingecko(bench: Bench) -> CoinGecko:
    bench.server.respond["/coins/markets?page=1"] = answer(json.dumps(coins(range(5))))
    return CoinGecko(bench.provider(), 100, bench.named(SOURCE))


async def scheduled(bench: Bench, enough: Callable[[list[RunRequested]], bool], *, within: float = 30.0) -> list[RunRequested]:
    """Follow the events until there are enough scheduled runs."""
    requested: list[RunRequested] = []
    async with asyncio.timeout(within), open_tail(bench.connection, bench.topics.run_events.name, start=Start.BEGINNING) as tail:
        async for records in tail:
            events = [event_in(record) for record in records]
            requested += [event for event in events if isinstance(event, RunRequested)]
            if enough(requested):
                return requested
    raise AssertionError


async def stop(task: asyncio.Task[None]) -> None:
    task.cancel()
    await asyncio.wait([task])


async def test_a_run_starts_at_once_and_again_after_each_interval(bench: Bench) -> None:
    bench.start(coingecko(bench), interval=timedelta(seconds=2))
    first, second, third = await scheduled(bench, lambda runs: len(runs) == 3)
    assert {run.trigger for run in (first, second, third)} == {Trigger.SCHEDULE}
    assert timedelta(seconds=1.9) < second.at - first.at < timedelta(seconds=4)
    assert timedelta(seconds=1.9) < third.at - second.at < timedelta(seconds=4)
    assert (await bench.story(first.run_id)).counts() == (5, 0, 5, 0)
    assert (await bench.story(second.run_id)).counts() == (5, 5, 0, 0)


async def test_a_restart_runs_at_once_however_long_the_interval(bench: Bench) -> None:
    first = bench.start(coingecko(bench), interval=timedelta(hours=1))
    (before,) = await scheduled(bench, lambda runs: len(runs) == 1)
    await stop(first)
    later = replace(bench, clock=Ahead(START_UP_PAUSE))
    later.start(coingecko(later), interval=timedelta(hours=1))
    _, after = await scheduled(bench, lambda runs: len(runs) == 2)
    assert after.at - before.at < START_UP_PAUSE + timedelta(seconds=30)


async def test_a_producer_that_crashes_again_and_again_does_not_poll_at_each_start(bench: Bench) -> None:
    for start in range(3):
        replica = bench.start(coingecko(bench), interval=timedelta(hours=1))
        await bench.run()
        await stop(replica)
        assert len(await scheduled(bench, bool)) == 1, f"after start {start}"


async def test_the_pause_between_two_starts_is_no_longer_than_the_interval(bench: Bench) -> None:
    interval = timedelta(seconds=5)
    first = bench.start(coingecko(bench), interval=interval)
    await scheduled(bench, lambda runs: len(runs) == 1)
    await stop(first)
    bench.start(coingecko(bench), interval=interval)
    before, after = await scheduled(bench, lambda runs: len(runs) == 2)
    assert interval - timedelta(seconds=0.1) < after.at - before.at < START_UP_PAUSE


async def test_a_run_at_the_start_is_requested_once_although_its_commit_is_not_heard_of(
    bench: Bench, monkeypatch: pytest.MonkeyPatch
) -> None:
    transaction, unheard = TransactionalClient.transaction, asyncio.Event()

    @asynccontextmanager
    async def committed_unheard(client: TransactionalClient) -> AsyncIterator[Transaction]:
        async with transaction(client) as opened:
            yield opened
        if not unheard.is_set():
            unheard.set()
            await client.close()
            raise KafkaUnreachableError("no answer to the commit")

    monkeypatch.setattr(TransactionalClient, "transaction", committed_unheard)
    moved = replace(bench, clock=MovedClock())
    moved.start(coingecko(moved), interval=timedelta(hours=1))
    first, second = (await scheduled(moved, lambda runs: len(runs) >= 2))[:2]
    assert second.at - first.at >= timedelta(hours=1)


async def test_another_replica_that_takes_over_keeps_the_period(bench: Bench) -> None:
    interval = timedelta(seconds=6)
    first = bench.start(coingecko(bench), interval=interval)
    await scheduled(bench, lambda runs: len(runs) == 1)
    second = bench.start(coingecko(bench), interval=interval)
    await bench.joined(2)
    await stop(first)
    requested = await scheduled(bench, lambda runs: len(runs) == 2)
    assert timedelta(seconds=5.9) < requested[1].at - requested[0].at < timedelta(seconds=12)
    assert not second.done()


async def test_without_a_schedule_runs_that_are_asked_for_are_made(bench: Bench) -> None:
    bench.start(coingecko(bench), interval=None)
    assert (await bench.run()).counts() == (5, 0, 5, 0)
    assert not [event for event in await bench.stories() if isinstance(event, RunRequested)]


async def test_two_replicas_run_once_an_interval(bench: Bench) -> None:
    interval = timedelta(seconds=3)
    for _ in range(2):
        bench.start(coingecko(bench), interval=interval)
    requested = await scheduled(bench, lambda runs: len(runs) == 4)
    gaps = [later.at - earlier.at for earlier, later in pairwise(requested[1:])]
    assert all(gap > timedelta(seconds=2.9) for gap in gaps)


async def test_scheduled_commands_that_piled_up_while_nobody_produced_are_skipped_with_the_reason(bench: Bench) -> None:
    run_id = await bench.command(lasts=timedelta(seconds=-60))
    bench.start(coingecko(bench), interval=timedelta(hours=1))
    assert (await bench.story(run_id)).skipped[0].startswith("expired")
    (scheduled_run,) = await scheduled(bench, lambda runs: len(runs) == 1)
    assert (await bench.story(scheduled_run.run_id)).counts() == (5, 0, 5, 0)
    assert sum(isinstance(event, RunSkipped) for event in await bench.stories()) == 1


async def test_the_minutes_budget_is_shared_by_replicas_and_survives_a_restart(bench: Bench) -> None:
    """Three requests a minute: the fourth shard has to wait longer than its command lasts."""
    for page in range(1, 5):
        bench.server.respond[f"/coins/markets?page={page}"] = answer(json.dumps(coins(range(page, page + 1))))
    fetcher = CoinGecko(bench.provider(), 1_000, bench.named(SOURCE))
    replicas = [bench.start(fetcher, budget=Budget(per_minute=3)) for _ in range(2)]
    await bench.joined(2)
    story = await bench.story(await bench.command(lasts=timedelta(seconds=20)))
    assert len(story.published) == 3
    assert "may not be asked before" in story.errors[0]
    for replica in replicas:
        await stop(replica)
    bench.start(fetcher, budget=Budget(per_minute=3))
    story = await bench.story(await bench.command(lasts=timedelta(seconds=20)))
    assert len(story.errors) == 4
    assert len(bench.server.requests) == 3


async def test_the_months_budget_survives_a_restart_and_its_end_is_told(bench: Bench) -> None:
    first = bench.start(coingecko(bench), budget=Budget(per_month=2))
    await bench.run()
    await stop(first)
    bench.start(coingecko(bench), budget=Budget(per_month=2))
    await bench.run()
    story = await bench.run()
    assert "the month's quota" in story.errors[0]
    assert "2 of 2" in story.errors[0]
    assert len(bench.server.requests) == 2
