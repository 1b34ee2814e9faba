"""Which scheduled runs nobody was there to make."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import replace
from datetime import datetime, timedelta

import pytest

from libs.contracts.cursors import ScheduleMark
from libs.contracts.gaps import Gap, RunsMissed
from libs.kafka.errors import KafkaUnreachableError
from libs.kafka.transactions import Transaction, TransactionalClient
from tests.integration.producing.bench import Ahead, Bench
from tests.integration.producing.test_schedule import coingecko, scheduled, stop

HOUR = timedelta(hours=1)


async def one_run(bench: Bench, number: int, interval: timedelta, *, later: timedelta = timedelta(0)) -> datetime:
    """Start a producer, wait for the source's scheduled run of that number, stop it; return when that was."""
    then = replace(bench, clock=Ahead(later))
    producer = then.start(coingecko(then), interval=interval)
    runs = await scheduled(bench, lambda runs: len(runs) == number)
    await stop(producer)
    return runs[-1].at


async def mark_of(bench: Bench) -> ScheduleMark | None:
    mark = (await bench.cursors()).get(f"{bench.source}/#schedule")
    assert mark is None or isinstance(mark, ScheduleMark)
    return mark


async def interval_noted(bench: Bench, seconds: float | None) -> None:
    async with asyncio.timeout(60):
        while (mark := await mark_of(bench)) is None or mark.interval_seconds != seconds:  # noqa: ASYNC110 a broker
            await asyncio.sleep(0.05)


def missed(gap: Gap) -> tuple[int, datetime, datetime, float]:
    assert isinstance(gap, RunsMissed)
    return gap.runs, gap.first_due, gap.last_due, gap.interval_seconds


async def test_runs_that_were_due_while_nobody_produced_are_told_once_without_the_one_that_is_made_late(bench: Bench) -> None:
    last = await one_run(bench, 1, HOUR)
    assert await bench.gaps() == []
    await one_run(bench, 2, HOUR, later=10 * HOUR)
    await one_run(bench, 3, HOUR, later=10 * HOUR + timedelta(minutes=5))
    (gap,) = await bench.gaps()
    assert missed(gap) == (9, last + HOUR, last + 9 * HOUR, 3600)
    assert gap.source == bench.source


async def test_a_run_that_is_late_by_less_than_two_intervals_is_not_missed(bench: Bench) -> None:
    await one_run(bench, 1, HOUR)
    await one_run(bench, 2, HOUR, later=timedelta(minutes=110))
    assert await bench.gaps() == []


async def test_runs_are_not_missed_while_none_are_scheduled_but_those_before_that_are(bench: Bench) -> None:
    last = await one_run(bench, 1, HOUR)
    off = replace(bench, clock=Ahead(3 * HOUR))
    producer = off.start(coingecko(off), interval=None)
    await interval_noted(bench, None)
    await stop(producer)
    await one_run(bench, 2, HOUR, later=100 * HOUR)
    (gap,) = await bench.gaps()
    assert missed(gap) == (3, last + HOUR, last + 3 * HOUR, 3600)


async def test_runs_are_counted_by_the_interval_that_held_when_they_were_due(bench: Bench) -> None:
    """A replica with another interval takes over: what comes after is due by its interval, from then on."""
    first = bench.start(coingecko(bench), interval=HOUR)
    await scheduled(bench, lambda runs: len(runs) == 1)
    second = bench.start(coingecko(bench), interval=2 * HOUR)
    await bench.joined(2)
    await stop(first)
    await interval_noted(bench, 7200)
    await stop(second)
    mark = await mark_of(bench)
    assert mark is not None
    assert mark.since is not None
    assert mark.since > mark.requested_at
    await one_run(bench, 2, HOUR, later=5 * HOUR)
    (gap,) = await bench.gaps()
    assert missed(gap) == (1, mark.since + 2 * HOUR, mark.since + 2 * HOUR, 7200)


async def test_a_clock_that_jumps_ahead_or_back_under_a_producer_makes_no_gap(bench: Bench) -> None:
    clock = Ahead(timedelta(0))
    jumping = replace(bench, clock=clock)
    jumping.start(coingecko(jumping), interval=timedelta(seconds=2))
    await scheduled(bench, lambda runs: len(runs) == 1)
    clock.by = timedelta(days=1)
    runs = await scheduled(bench, lambda runs: len(runs) == 2)
    assert runs[1].at - runs[0].at > timedelta(hours=23)
    clock.by = timedelta(days=-1)
    runs = await scheduled(bench, lambda runs: len(runs) == 4)
    assert timedelta(seconds=1.9) < runs[3].at - runs[2].at < timedelta(hours=1)
    assert runs[3].at < runs[0].at
    assert await bench.gaps() == []


async def test_a_clock_that_jumps_ahead_while_a_request_does_not_go_through_makes_no_gap(
    bench: Bench, monkeypatch: pytest.MonkeyPatch
) -> None:
    clock = Ahead(timedelta(0))
    transaction = TransactionalClient.transaction

    @asynccontextmanager
    async def aborted_at_first(client: TransactionalClient) -> AsyncIterator[Transaction]:
        async with transaction(client) as opened:
            yield opened
            if clock.by == timedelta(0):
                clock.by = timedelta(hours=6)  # the broker's clock and ours are still believed
                raise KafkaUnreachableError("gone before the commit")

    jumping = replace(bench, clock=clock)
    jumping.start(coingecko(jumping), interval=timedelta(seconds=2))
    await scheduled(bench, lambda runs: len(runs) == 1)
    await bench.run()
    monkeypatch.setattr(TransactionalClient, "transaction", aborted_at_first)
    runs = await scheduled(bench, lambda runs: len(runs) == 2)
    assert runs[1].at - runs[0].at > timedelta(hours=5)
    assert await bench.gaps() == []


async def test_a_clock_that_jumps_ahead_while_another_replica_comes_and_goes_makes_no_gap(bench: Bench) -> None:
    clock = Ahead(timedelta(0))
    jumping = replace(bench, clock=clock)
    jumping.start(coingecko(jumping), interval=HOUR)
    await scheduled(bench, lambda runs: len(runs) == 1)
    other = bench.start(coingecko(bench), interval=HOUR)
    await bench.joined(2)
    clock.by = 6 * HOUR
    await stop(other)
    runs = await scheduled(bench, lambda runs: len(runs) == 2)
    assert runs[1].at - runs[0].at > 5 * HOUR
    assert await bench.gaps() == []


async def test_a_producer_that_starts_with_a_clock_days_ahead_knows_nothing_of_missed_runs(bench: Bench) -> None:
    await one_run(bench, 1, HOUR)
    await one_run(bench, 2, HOUR, later=72 * HOUR)
    assert await bench.gaps() == []


async def test_the_interval_of_a_source_that_was_never_scheduled_is_nothing_to_note(bench: Bench) -> None:
    bench.start(coingecko(bench), interval=None)
    await bench.run()
    assert await mark_of(bench) is None
    assert await bench.gaps() == []
