"""A full dead-letter retry, by an operator who is killed again and again."""

import json
from collections import Counter
from collections.abc import Mapping

import pytest

from tests.faults.conftest import Stage
from tests.faults.operator import Ended, kasparro, refusing
from tests.faults.pipeline import Pipeline

REFUSED = "refused_by_database"
RAW_TABLES = ("raw_coingecko", "raw_coinpaprika")
STATES = ("waiting", "redriven", "dropped", "repeat")
REFUSED_FIRST, REFUSED_AGAIN = "asset_uid >= 'd'", "asset_uid >= 'b'"
"""What Postgres demands; each that it refuses is found by halving, so a large share would hold up all that is behind."""
LETTERS = 30
REFUSED_SECONDS = 90.0
DEATHS = 5
PROJECTED_SECONDS = 30.0
pytestmark = pytest.mark.timeout(1800)


async def test_a_full_retry_by_an_operator_who_is_killed(stage: Stage) -> None:
    """Letters of two kinds: ticks that Postgres refuses until it is mended, and poison that stays what it is."""
    pipeline = stage.pipeline
    for _ in range(stage.rounds):
        async with pipeline.under_load(stage.random, pace_seconds=2.0):
            pipeline.report.injected("Postgres refuses a tenth of the ticks")
            await pipeline.provider.order({"kind": "poison", "count": 4})
            pipeline.report.injected("answer with all 23 kinds of poison", 4)
            async with refusing(pipeline, *RAW_TABLES, check=REFUSED_FIRST):
                await until_refused(pipeline, 1)
                await stage.end("normalizer", "SIGKILL")  # what it set aside and did not acknowledge is set aside again
                pipeline.start_missing()
                await until_refused(pipeline, LETTERS)
            async with refusing(pipeline, *RAW_TABLES, check=REFUSED_AGAIN):
                await settle(stage, "redrive")  # some of the ticks, and all of the poison, come back with attempt 2
                await until_refused(pipeline, 1, attempt=2)
        await pipeline.until_quiet(150)
        await settle(stage, "redrive", "--error-class", REFUSED)
        await stage.audit.check()
        told = await found(pipeline, "--error-class", REFUSED)
        assert told["waiting"] == told["dropped"] == 0
        each_was_redriven_once(pipeline, told["redriven"])
        what_stayed_bad_came_back(pipeline)
        await settle(stage, "drop", "--source", stage.random.choice(("coingecko", "coinpaprika")))
        await settle(stage, "drop", "--all")
        await pipeline.until_quiet(150)
        assert (await found(pipeline))["waiting"] == 0
        assert (await kasparro(pipeline, "dead-letters", "redrive", "--json")).code == 0, "a dropped letter is not re-driven"
        await stage.audit.check()


async def until_refused(pipeline: Pipeline, least: int, *, attempt: int = 1) -> None:
    """Wait until Postgres has refused so many ticks that came for the nth time since the last round."""
    ledger = pipeline.ledger
    before = len(ledger.letters)

    async def refused() -> bool:
        await ledger.read_on(10)
        new = (held[0] for held in list(ledger.letters.values())[before:])
        return sum(letter.error_class == REFUSED and letter.attempt == attempt for letter in new) >= least

    await pipeline.until(refused, REFUSED_SECONDS, f"{least} refused ticks of attempt {attempt}")


async def settle(stage: Stage, verb: str, *filters: str) -> None:
    """Some at a time, killed at random moments; then to the end."""
    words = ("dead-letters", verb, *filters)
    for _ in range(DEATHS):
        await kasparro(stage.pipeline, *words, "--limit", "40", killed_after=stage.random.uniform(0.6, 2.0))
    ended = await kasparro(stage.pipeline, *words)
    assert_settled(ended)
    stage.pipeline.report.step(ended.output.splitlines()[0])


def assert_settled(ended: Ended) -> None:
    """Every letter that was meant is settled; rows that were in no topic cannot be re-driven, and that is said."""
    assert "Traceback" not in ended.output, ended.output
    assert ended.code == 0 or "in_no_topic" in ended.output, ended.output
    assert " left 0;" in ended.output, ended.output


async def found(pipeline: Pipeline, *filters: str) -> Mapping[str, int]:
    """How many letters are in each state: the command reads the topics, and the API its tables; they agree."""
    counted: dict[str, int] = {}
    for state in STATES:
        said = await kasparro(pipeline, "dead-letters", "list", *filters, "--state", state, "--json", "--limit", "1")
        counted[state] = int(json.loads(said.output)["total"])
    query = f"?error_class={filters[1]}" if filters else ""

    async def agrees() -> bool:
        total = (await pipeline.get(f"/stats/dead-letters{query}"))["total"]
        return tuple(total[state] for state in ("waiting", "redriven", "dropped", "repeats")) == tuple(counted.values())

    await pipeline.until(agrees, PROJECTED_SECONDS, f"/stats/dead-letters{query} to tell {counted}")
    return counted


def each_was_redriven_once(pipeline: Pipeline, told: int) -> None:
    """A record that was set aside is in its topic once more, however often it was set aside at one attempt."""
    letters = pipeline.ledger.letters.items()
    set_aside = Counter(held[0].digest for _, held in letters)
    refused = Counter(held[0].digest for _, held in letters if held[0].error_class == REFUSED)
    returned = Counter(tick.digest for tick in pipeline.ledger.ticks.values() if tick.redriven)
    assert refused
    assert told == refused.total()
    assert {digest: returned[digest] for digest in refused} == refused
    assert returned <= set_aside


def what_stayed_bad_came_back(pipeline: Pipeline) -> None:
    """A re-driven record that is still bad is a letter with the attempt counted, one that is good now is none."""
    ledger = pipeline.ledger
    attempts = {
        (held[0].error_class == REFUSED, ledger.ticks[origin].redriven, letter.attempt)
        for origin, held in ledger.letters.items()
        for letter in held
    }
    assert {(False, False, 1), (True, False, 1), (False, True, 2), (True, True, 2)} <= attempts
    assert all(redriven == (attempt > 1) for _, redriven, attempt in attempts)
    assert any(tick.redriven and origin not in ledger.letters for origin, tick in ledger.ticks.items())
