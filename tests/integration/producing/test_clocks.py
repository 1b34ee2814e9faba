"""A producer whose clock is wrong: believed while that harms nobody, and a failed run that says so beyond that."""

import json
from dataclasses import replace
from datetime import UTC, datetime, timedelta

from libs.contracts.run_events import ShardFailed
from libs.producing.quota import Budget
from libs.sources.coingecko import SOURCE
from services.producers.coingecko.fetcher import CoinGecko
from tests.integration.producing.bench import Ahead, Bench, coins
from tests.integration.producing.provider_server import answer


async def test_a_clock_that_is_days_behind_publishes_nothing_and_is_said_to_be_wrong(bench: Bench) -> None:
    """The normalizer would set the ticks aside, and nobody would send them again once the clock is right."""
    clock = Ahead(timedelta(days=-2))
    wrong = replace(bench, clock=clock)
    bench.server.respond["/coins/markets"] = answer(json.dumps(coins(range(5))))
    wrong.start(CoinGecko(wrong.provider(), 5, bench.named(SOURCE)))
    failed = await bench.run()
    assert "clock and the broker's differ by" in failed.errors[0]
    assert "ours is behind" in failed.errors[0]
    (event,) = [one for one in failed.events if isinstance(one, ShardFailed)]
    assert abs(event.at - datetime.now(UTC)) < timedelta(minutes=5)  # told by the clock that is right
    assert await bench.ticks() == []
    clock.by = timedelta(0)
    assert (await bench.run()).counts() == (5, 0, 5, 0)


async def test_a_clock_that_jumps_does_not_open_the_minutes_budget_anew(bench: Bench) -> None:
    clock = Ahead(timedelta(0))
    moved = replace(bench, clock=clock)
    bench.server.respond["/coins/markets"] = answer(json.dumps(coins(range(5))))
    moved.start(CoinGecko(moved.provider(), 5, bench.named(SOURCE)), budget=Budget(per_minute=2))
    for _ in range(2):
        assert (await moved.run()).errors == []
    clock.by = timedelta(hours=2)
    refused = await moved.story(await moved.command(lasts=timedelta(seconds=5)))
    assert "may not be asked before" in refused.errors[0]
    assert len(bench.server.requests) == 2


async def test_what_is_fetched_after_a_clock_was_set_back_is_newer_all_the_same(bench: Bench) -> None:
    """A rank may change without the event time: then the time of the fetch decides which of two contents is the newer."""
    clock = Ahead(timedelta(hours=2))
    wrong = replace(bench, clock=clock)
    bench.server.respond["/coins/markets"] = answer(json.dumps(coins(range(5), price=1)))
    wrong.start(CoinGecko(wrong.provider(), 5, bench.named(SOURCE)))
    await wrong.run()
    clock.by = timedelta(0)
    bench.server.respond["/coins/markets"] = answer(json.dumps(coins(range(5), price=2)))
    await bench.run()
    ticks = await bench.ticks()
    before, after = ([tick for tick in ticks if tick.payload["current_price"] == price] for price in (1, 2))
    assert (len(before), len(after)) == (5, 5)
    assert max(tick.fetched_at for tick in before) < min(tick.fetched_at for tick in after)
