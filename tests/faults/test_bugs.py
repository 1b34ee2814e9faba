"""That the suite finds bugs: services into which one was put, in the trouble that brings it to light."""

from collections.abc import AsyncIterator
from pathlib import Path
from typing import Literal, NamedTuple

import pytest

from libs.devstack.broker import Jars
from libs.devstack.children import Nursery
from tests.faults.audit import BrokenPromiseError
from tests.faults.broken import BUGS
from tests.faults.conftest import DEATH_SECONDS, SEED, Stage, staged
from tests.faults.pipeline import NotQuietError
from tests.faults.processes import Kind
from tests.faults.report import Report
from tests.faults.test_order import everything, send_again
from tests.faults.test_servers import kill_and_start

pytestmark = pytest.mark.timeout(600)


class Case(NamedTuple):
    """Where the bug is, what brings it to light, and the check that must find it."""

    kind: Kind
    trouble: Literal["load", "SIGKILL", "poison", "old ticks again", "postgres away"] | tuple[str, int]
    """A name and a number: to die there, at the nth call."""
    found_by: str


CASES: dict[str, Case] = {
    "acknowledge_before_storing": Case("normalizer", "SIGKILL", "no_checkpoint_ran_ahead"),
    "forget_what_a_dead_worker_owed": Case("normalizer", ("between-database-commit-and-publish", 5), "subscribers_see_the_table"),
    "let_the_last_one_win": Case("normalizer", "old ticks again", "nothing_older_shows"),
    "swallow_poison": Case("normalizer", "poison", "every_tick_is_stored_or_dead_lettered"),
    "dead_letter_an_outage": Case("normalizer", "postgres away", "only_poison_is_set_aside"),
    "count_again_what_comes_again": Case(
        "normalizer", ("between-database-commit-and-publish", 5), "every_record_is_counted_for_its_run"
    ),
    "end_runs_before_their_ticks_are_applied": Case("normalizer", "load", "run_counts_add_up"),
    "publish_what_is_published": Case("coinpaprika", "load", "no_content_follows_itself"),
    "ask_without_counting": Case("coingecko", "load", "every_request_was_counted"),
    "commit_the_offset_in_a_transaction_of_its_own": Case(
        "coinpaprika", ("before-offset-is-sent", 1), "every_shard_reports_once"
    ),
}


@pytest.fixture
async def stage(
    request: pytest.FixtureRequest, nursery: Nursery, kafka_jars: Jars, tmp_path: Path, report: Report
) -> AsyncIterator[Stage]:
    """As everywhere, with figures of its own: what is lost here was meant to be."""
    report.step(f"--- {request.node.name}, with figures of its own")
    async with staged(request.node.name, nursery, kafka_jars, tmp_path, Report(SEED, 1, began=report.began)) as stage:
        yield stage


def test_each_bug_has_its_case() -> None:
    assert BUGS.keys() == CASES.keys()


@pytest.mark.parametrize("bug", CASES)
async def test_the_suite_finds_a_bug(stage: Stage, report: Report, bug: str) -> None:
    case = CASES[bug]
    with pytest.raises((BrokenPromiseError, NotQuietError), match=f"NOT {case.found_by}:"):
        await play(stage, bug, case)
    report.bugs_found += 1


async def play(stage: Stage, bug: str, case: Case) -> None:
    async with stage.fault():
        await stage.a_while(2, 3)
        await stage.pipeline.processes.terminate(case.kind)
        await bring_to_light(stage, bug, case)


async def bring_to_light(stage: Stage, bug: str, case: Case) -> None:
    processes, wrapper = stage.pipeline.processes, ("tests.faults.broken", "--bug", bug)
    if isinstance(case.trouble, tuple):
        point, nth = case.trouble
        processes.start(case.kind, wrapper=(*wrapper, "--die-at", point, "--nth", str(nth)))
        await processes.until_dead(case.kind, 1, DEATH_SECONDS)
    processes.start(case.kind, wrapper=wrapper)
    match case.trouble:
        case "SIGKILL":
            await stage.a_while(6, 8)
            await stage.end(case.kind, "SIGKILL")
        case "poison":
            await stage.pipeline.provider.order({"kind": "poison", "count": 4})
            await stage.a_while(4, 5)
        case "old ticks again":
            await stage.a_while(4, 5)
            await send_again(stage, await everything(stage))
        case "postgres away":
            await stage.a_while(4, 5)
            await kill_and_start(stage, ["postgres"], 5)
        case "load":
            await stage.a_while(5, 6)
