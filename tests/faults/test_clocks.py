"""Wrong clocks: of every service, forwards and backwards, by seconds, hours and days, from the start and in the middle.

What a wrong clock does by design: a service whose clock is ahead takes the commands of others for expired, and skips those
runs with words; a producer that is over 12 hours off publishes nothing and says why in its runs.
"""

import asyncio
from collections.abc import Sequence

import pytest

from libs.contracts.run_events import RunFailed, RunRequested, RunSkipped, RunSucceeded
from libs.domain.runs import Trigger
from tests.faults.conftest import Stage
from tests.faults.pipeline import Pipeline
from tests.faults.processes import Kind

HOURS, DAYS = 3_600, 86_400
FORWARDS, BACKWARDS = (30, 2 * HOURS, 20 * HOURS), (-30, -2 * HOURS, -3 * DAYS)
KINDS: tuple[Kind, ...] = ("coingecko", "coinpaprika", "normalizer", "query")
INTERVAL_SECONDS = 5
WATCHED_SECONDS = 20.0
REQUESTS_PER_MINUTE = 9
PAGES = 3
SAID_SECONDS = 60.0
CLOCKS_DIFFER = "clock and the broker's differ"
pytestmark = pytest.mark.timeout(1800)


async def test_clocks_that_jump(stage: Stage) -> None:
    """While it is wrong, and once it is right again; by less than a day forwards, by any time backwards."""
    for _ in range(stage.rounds):
        for kind in stage.random.sample(KINDS, k=len(KINDS)):
            for seconds in (stage.random.choice(FORWARDS), stage.random.choice(BACKWARDS)):
                stage.audit.whole_answers_again |= seconds < -DAYS  # by such a clock the last one was in the future
                async with stage.fault():
                    await stage.a_while()
                    await wrong_clock(stage, kind, seconds, stage.random.choice((0.0, 2.0)), {})
                    await stage.a_while(5, 7)
                    await stage.end(kind, "SIGTERM")
                    stage.pipeline.start_missing()
                    await stage.a_while()
                assert not stage.pipeline.ledger.letters, "a tick was refused because of a clock of ours"


@pytest.mark.parametrize("seconds", [2 * HOURS, -2 * HOURS, 20 * HOURS, -3 * DAYS])
async def test_a_schedule_whose_clock_jumps_neither_storms_nor_stops(stage: Stage, seconds: int) -> None:
    """Twice wrong, twice right again: as many runs as the time that passed is worth, each with an end."""
    pipeline, ledger = stage.pipeline, stage.pipeline.ledger
    stage.audit.whole_answers_again |= abs(seconds) > DAYS / 2
    for _ in range(stage.rounds):
        for after in (0.0, WATCHED_SECONDS / 2):
            before = len(ledger.events)
            async with stage.fault(pace_seconds=2.0):
                await wrong_clock(stage, "coingecko", seconds, after, scheduled())
                await asyncio.sleep(WATCHED_SECONDS)
                await stage.end("coingecko", "SIGTERM")
                pipeline.processes.start("coingecko", environment=scheduled())
                await asyncio.sleep(WATCHED_SECONDS)
                await stage.end("coingecko", "SIGTERM")
            check_schedule(pipeline, before, believed=abs(seconds) <= DAYS / 2)
            told = (await pipeline.get("/stats/gaps?kind=runs_missed&source=coingecko"))["gaps"]
            # Who starts with a right clock cannot tell the time that the last one was behind from one in which nobody ran;
            # and between one process and the next nobody did.
            most = (max(0, -seconds) + 2 * WATCHED_SECONDS) / INTERVAL_SECONDS
            assert all(gap["runs"] <= most for gap in told), told
    assert not ledger.letters, "a tick was refused because of a clock of ours"


def check_schedule(pipeline: Pipeline, before: int, *, believed: bool) -> None:
    events = pipeline.ledger.events[before:]
    due = {event.run_id for event in events if isinstance(event, RunRequested) and event.trigger is Trigger.SCHEDULE}
    worth = 2 * WATCHED_SECONDS / INTERVAL_SECONDS
    assert worth / 2 <= len(due) <= worth + 4, f"{len(due)} scheduled runs in the time of {worth:g}"
    told = [event for event in events if event.run_id in due]
    assert sum(isinstance(event, RunSucceeded) for event in told) >= (worth / 4 if believed else 1)
    for event in told:
        if isinstance(event, RunFailed | RunSkipped):
            words = event.error if isinstance(event, RunFailed) else event.reason
            assert "expired" in words or (not believed and CLOCKS_DIFFER in words), words


@pytest.mark.parametrize("seconds", [2 * HOURS, -2 * HOURS])
async def test_a_quota_a_minute_is_kept_though_the_clock_jumps(stage: Stage, seconds: int) -> None:
    """The provider's minute goes on whatever our clock says."""
    pipeline = stage.pipeline
    for _ in range(stage.rounds):
        async with stage.fault(pace_seconds=2.0):
            await stage.end("coingecko", "SIGTERM")
            asked = (await pipeline.provider.requests())["coingecko"]
            budget = {"COINGECKO_REQUESTS_PER_MINUTE": str(REQUESTS_PER_MINUTE)}
            await wrong_clock(stage, "coingecko", seconds, 15.0, {**scheduled(), **budget})
            await asyncio.sleep(40.0)
            await stage.end("coingecko", "SIGTERM")
            now = (await pipeline.provider.requests())["coingecko"]
            assert PAGES <= now - asked <= REQUESTS_PER_MINUTE, f"{now - asked} requests within a minute"


async def test_a_producer_whose_clock_is_days_ahead_publishes_nothing_and_says_why(stage: Stage) -> None:
    pipeline, ledger = stage.pipeline, stage.pipeline.ledger

    async def has_said_why() -> bool:
        await ledger.read_on(10)
        return any(CLOCKS_DIFFER in event.error for event in ledger.events if isinstance(event, RunFailed))

    async with pipeline.under_load(stage.random):
        await stage.a_while()
        await wrong_clock(stage, "coingecko", 3 * DAYS, 0.0, scheduled())  # it takes others' commands for expired
        await pipeline.until(has_said_why, SAID_SECONDS, "a run that says that the clock is wrong")
        await stage.end("coingecko", "SIGTERM")
    stage.audit.whole_answers_again = True  # by the wrong clock the last one was long ago
    await stage.audit.check()
    assert not ledger.letters


async def wrong_clock(stage: Stage, kind: Kind, seconds: int, after: float, environment: dict[str, str]) -> None:
    """Put a process with a wrong clock in the place of the one that runs, if one does."""
    if stage.pipeline.processes.is_running(kind):
        await stage.end(kind, "SIGTERM")
    stage.pipeline.report.injected(f"clock of {kind} {seconds:+} s")
    wrapper: Sequence[str] = ("tests.faults.shifted", "--seconds", str(seconds), "--jump-after", str(after))
    stage.pipeline.processes.start(kind, wrapper=wrapper, environment=environment)


def scheduled() -> dict[str, str]:
    return {"ETL_ENABLED": "true", "ETL_INTERVAL_SECONDS": str(INTERVAL_SECONDS)}
