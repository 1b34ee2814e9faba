"""A provider that misbehaves: nothing of a bad answer is published, the run says what came, and the next good answer heals it."""

import random
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any

import pytest

from libs.contracts.run_events import RunFailed, ShardFailed
from libs.producing.provider import TRIES
from tests.faults.conftest import Stage
from tests.faults.pipeline import Pipeline
from tests.faults.processes import Kind
from tests.faults.provider import Provider

PLACES = (("coingecko", "1"), ("coingecko", "2"), ("coingecko", "3"), ("coinpaprika", "all"))
"""Each shard is asked for by itself, so what one meets is the answer to one of its polls."""
MET_SECONDS = 60.0
pytestmark = pytest.mark.timeout(1800)


@dataclass(frozen=True)
class Misbehaviour:
    """What is ordered, how often it must come for a poll to fail of it, and the words in which the poll then says so."""

    order: Mapping[str, Any]
    times: int = 1
    said: str | None = None
    shards: Sequence[str] = ("1", "2", "3", "all")


MISBEHAVIOURS = (
    Misbehaviour({"kind": "rate_limited", "retry_after_seconds": 1}, TRIES, r"answered 429 .*(Rate Limit|too many requests)"),
    Misbehaviour({"kind": "rate_limited", "retry_after_seconds": 2, "retry_after_form": "date"}, TRIES, "answered 429 "),
    Misbehaviour({"kind": "rate_limited", "retry_after_seconds": None}, TRIES, "answered 429 "),
    Misbehaviour({"kind": "rate_limited_html", "retry_after_seconds": 1}, TRIES, "answered 429 .*HTML page.*Access denied"),
    Misbehaviour({"kind": "payment_required"}, 1, "answered 402 .*quota"),
    Misbehaviour({"kind": "server_error", "status": 500}, TRIES, "answered 500 .*internal server error"),
    Misbehaviour({"kind": "server_error", "status": 503}, TRIES, "answered 503 "),
    Misbehaviour({"kind": "half_the_pages"}, TRIES, "answered 500 ", ("2",)),
    Misbehaviour({"kind": "reset"}, TRIES, "could not be reached"),
    Misbehaviour({"kind": "truncated"}, TRIES, "broke off before its end"),
    Misbehaviour({"kind": "cut_json"}, TRIES, "a list that is (truncated|not readable as JSON)"),  # a number that is cut is none
    Misbehaviour({"kind": "wrong_shape"}, 1, "the answer is not a list"),
    Misbehaviour({"kind": "rows_of_strings"}, 1, "a list, but not of objects"),
    Misbehaviour({"kind": "empty"}, 1, "an empty list", ("1", "all")),
    # What a poll cannot know to be wrong, or bears with: it succeeds.
    Misbehaviour({"kind": "empty"}, 1, None, ("2", "3")),
    Misbehaviour({"kind": "rate_limited", "retry_after_seconds": 1}, TRIES - 1),
    Misbehaviour({"kind": "server_error", "status": 502}, TRIES - 1),
    Misbehaviour({"kind": "slow", "seconds": 3}),
    Misbehaviour({"kind": "half_the_rows"}),
    Misbehaviour({"kind": "duplicate_rows"}),
)


async def test_a_provider_that_misbehaves(stage: Stage) -> None:
    """Every misbehaviour once a round, each shard of the two providers meeting another at a time."""
    for _ in range(stage.rounds):
        for meeting in placed(stage.random):
            before = len(stage.pipeline.ledger.events)
            async with stage.fault(pace_seconds=0.3):
                await meet(stage, meeting)
            await check_words(stage.pipeline, before, meeting)


async def test_providers_that_misbehave_in_every_way_while_services_die(stage: Stage) -> None:
    provider, report = stage.pipeline.provider, stage.pipeline.report
    killed: tuple[Kind, ...] = ("coingecko", "normalizer", "coinpaprika")
    for _ in range(stage.rounds):
        async with stage.fault(pace_seconds=0.3):
            ordered = stage.random.sample(MISBEHAVIOURS, k=8)
            await provider.order(*({**each.order, "after": stage.random.randint(0, 4)} for each in ordered))
            for kind in killed:
                await stage.a_while()
                await stage.end(kind, "SIGKILL")
                stage.pipeline.start_missing()
            await stage.pipeline.until(partial(all_met, provider), MET_SECONDS, f"the polls to meet {ordered}")
            report.injected("misbehaviour beside a SIGKILL", len(ordered))


Meeting = Mapping[tuple[str, str], Misbehaviour]
"""Source and shard -> what its next poll meets."""


def placed(random_: random.Random) -> Sequence[Meeting]:
    """Give each misbehaviour a shard that it can come to, in as few meetings as that takes."""
    meetings: list[dict[tuple[str, str], Misbehaviour]] = []
    for one in random_.sample(MISBEHAVIOURS, k=len(MISBEHAVIOURS)):
        places = [place for place in random_.sample(PLACES, k=len(PLACES)) if place[1] in one.shards]
        for meeting in meetings:
            if free := [place for place in places if place not in meeting]:
                meeting[free[0]] = one
                break
        else:
            meetings.append({places[0]: one})
    return meetings


async def meet(stage: Stage, meeting: Meeting) -> None:
    provider, report = stage.pipeline.provider, stage.pipeline.report
    orders = [
        {**one.order, "count": one.times, "provider": source} | ({} if shard == "all" else {"page": int(shard)})
        for (source, shard), one in meeting.items()
    ]
    await provider.order(*orders)
    await stage.pipeline.until(partial(all_met, provider), MET_SECONDS, f"the polls to meet {orders}")
    for one in meeting.values():
        report.injected("provider: " + " ".join(str(said) for said in one.order.values()), one.times)
    await stage.a_while(0, 1)


async def all_met(provider: Provider) -> bool:
    return not await provider.faults_left()


async def check_words(pipeline: Pipeline, before: int, meeting: Meeting) -> None:
    """Each shard failed that had to, once, with its words; the run that it belongs to says them too, also over HTTP."""
    events = pipeline.ledger.events[before:]
    failures = [event for event in events if isinstance(event, ShardFailed)]
    ends = {event.run_id: event.error for event in events if isinstance(event, RunFailed)}
    for (source, shard), one in meeting.items():
        said = [event for event in failures if (event.source, event.shard) == (source, shard)]
        assert len(said) == (one.said is not None), f"{one} at {source}/{shard}: {said}"
        for event in said:
            assert one.said is not None
            assert re.search(one.said, event.error), f"{one} at {source}/{shard}: {event.error}"
            assert event.error in ends[event.run_id]
            told = await pipeline.get(f"/stats/runs/{event.run_id}")
            assert (told["status"], told["error"]) == ("failed", ends[event.run_id])
    assert len(failures) == sum(one.said is not None for one in meeting.values()), failures
