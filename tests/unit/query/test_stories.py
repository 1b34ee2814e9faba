"""What a run's events add up to, and what is remembered of expensive answers."""

import asyncio
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID

import pytest

from libs.contracts.run_events import (
    RunFailed,
    RunSkipped,
    RunStarted,
    RunSucceeded,
    RunTotals,
    ShardCounts,
    ShardFailed,
    ShardPublished,
)
from libs.domain.runs import RunStatus, Trigger
from services.query.following import RunStory
from services.query.remembering import Remembered
from services.query.settings import QuerySettings, is_loopback

AT = datetime(2026, 7, 1, tzinfo=UTC)
RUN: dict[str, Any] = {"run_id": UUID(int=1), "source": "coingecko"}


def story() -> RunStory:
    return RunStory(UUID(int=1), "coingecko", Trigger.MANUAL, AT)


def published(shard: str, fetched: int) -> ShardPublished:
    counts = ShardCounts(fetched=fetched, unchanged=0, published=fetched, dead_lettered=0)
    return ShardPublished(**RUN, at=AT, shard=shard, counts=counts, last_offsets={})


STARTED = RunStarted(**RUN, at=AT, trigger=Trigger.MANUAL, shards=("1", "2"))


def test_a_run_is_published_when_every_shard_has_reported() -> None:
    run = story()
    assert not run.is_taken
    run.tell(STARTED)
    run.tell(published("1", 3))
    assert (run.status, run.is_taken) == (RunStatus.RUNNING, True)
    run.tell(ShardFailed(**RUN, at=AT, shard="2", error="429"))
    assert (run.status, run.counts.fetched, run.error) == (RunStatus.PUBLISHED, 3, "2: 429")


def test_a_run_says_what_it_waits_for() -> None:
    run = story()
    waited = [run.waiting_for]
    end = RunSucceeded(**RUN, at=AT, totals=RunTotals())
    for event in (published("2", 1), STARTED, published("1", 1), end):
        run.tell(event)
        waited.append(run.waiting_for)
    assert waited == [
        "a producer to take it",
        "the provider's answers, or its quota",
        "the provider's answers, or its quota: 1",
        "the normalizer to store it",
        None,
    ]


def test_a_shard_that_is_told_twice_counts_once() -> None:
    run = story()
    for event in (STARTED, published("1", 3), published("1", 3)):
        run.tell(event)
    assert run.counts.fetched == 3


def test_shards_that_report_before_the_start_is_heard_of_count_too() -> None:
    run = story()
    for event in (published("1", 3), published("2", 4), STARTED):
        run.tell(event)
    assert (run.status, run.counts.fetched) == (RunStatus.PUBLISHED, 7)


@pytest.mark.parametrize(
    ("end", "status"),
    [
        (RunSucceeded(**RUN, at=AT + timedelta(seconds=2), totals=RunTotals(fetched=9, stored=9)), RunStatus.SUCCEEDED),
        (RunFailed(**RUN, at=AT + timedelta(seconds=2), error="broken", totals=RunTotals()), RunStatus.FAILED),
        (RunSkipped(**RUN, at=AT + timedelta(seconds=2), trigger=Trigger.MANUAL, reason="no file"), RunStatus.SKIPPED),
    ],
)
def test_nothing_follows_the_end(end: Any, status: RunStatus) -> None:
    run = story()
    run.tell(end)
    ended = run.body()
    for event in (STARTED, published("1", 3)):
        run.tell(event)
    assert run.body() == ended
    assert (ended["status"], ended["duration_ms"]) == (status, 2000)


class MovedClock:
    def __init__(self) -> None:
        self.seconds = 0.0

    def utc(self) -> datetime:
        return AT + timedelta(seconds=self.seconds)

    def monotonic(self) -> float:
        return self.seconds

    async def sleep(self, seconds: float) -> None:
        self.seconds += seconds


async def test_many_callers_ask_once_a_second() -> None:
    clock, asked = MovedClock(), []
    remembered: Remembered[int] = Remembered(1.0, clock)

    async def ask() -> int:
        asked.append(1)
        await asyncio.sleep(0)
        return len(asked)

    assert await asyncio.gather(*[remembered.get("key", ask) for _ in range(20)]) == [1] * 20
    clock.seconds = 0.9
    assert await remembered.get("key", ask) == 1
    clock.seconds = 1.1
    assert await remembered.get("key", ask) == 2
    assert await remembered.get("other", ask) == 3


async def test_a_failed_question_is_asked_again() -> None:
    remembered: Remembered[int] = Remembered(1.0, MovedClock())

    async def fail() -> int:
        raise OSError("away")

    async def answer() -> int:
        return 7

    with pytest.raises(OSError, match="away"):
        await remembered.get("key", fail)
    assert await remembered.get("key", answer) == 7


@pytest.mark.parametrize(
    ("host", "expected"), [("127.0.0.1", True), ("::1", True), ("localhost", True), ("0.0.0.0", False), ("example.org", False)]
)
def test_loopback_is_recognised(host: str, expected: bool) -> None:  # noqa: FBT001 -- a table's column
    assert is_loopback(host) is expected


def test_every_setting_says_what_it_is_for() -> None:
    assert all(field.description for field in QuerySettings.model_fields.values())
