"""Answers whose rows no message can hold."""

import base64
import json
import os
from datetime import UTC, datetime
from hashlib import sha256

import pytest

from libs.contracts.run_events import LONGEST_ERROR
from libs.kafka.records import Record
from libs.producing.fetching import Answer, Fetcher, FetchFailedError, Permit
from libs.sources.coingecko import SOURCE
from libs.sources.source import Source
from tests.integration.producing.bench import Bench, coins


class Rows:
    """A fetcher that has these rows."""

    def __init__(self, bench: Bench, *rows: bytes) -> None:
        self.source: Source = bench.named(SOURCE)
        self.rows = list(rows)
        self.fetches = 0

    async def shards(self) -> list[str]:
        return ["1"]

    async def fetch(self, shard: str, permit: Permit) -> Answer:  # noqa: ARG002 there is one
        self.fetches += 1
        await permit.admit()
        now = datetime.now(UTC)
        return Answer(self.rows, now, now)


def incompressible(size: int) -> str:
    return base64.b64encode(os.urandom(size * 3 // 4)).decode()


async def test_a_row_too_large_for_a_dead_letter_is_cut_and_says_so_and_its_neighbours_live(bench: Bench) -> None:
    large = json.dumps({**coins([1])[0], "junk": incompressible(1_200_000)}).encode()
    rows: Fetcher = Rows(bench, large, *(json.dumps(row).encode() for row in coins([2, 3])))
    bench.start(rows)
    assert (await bench.run()).counts() == (3, 0, 2, 1)
    assert (await bench.run()).counts() == (3, 3, 0, 0)
    (letter,) = await bench.dead_letters()
    assert letter.value is not None
    assert 900_000 < len(letter.value) < bench.topics.dead_letters.largest_message
    assert large.startswith(letter.value)
    said = dict(letter.headers)["__connect.errors.exception.message"].decode()
    assert said.startswith(f"the row has {len(large)} bytes")
    assert f"the first {len(letter.value)} of its {len(large)} bytes" in said
    assert sha256(large).hexdigest() in said


async def test_an_answer_that_the_broker_refuses_fails_its_shard_and_the_replica_goes_on(
    bench: Bench, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A broker whose limits are lower than ours."""
    good = json.dumps(coins([1])[0]).encode()
    rows = Rows(bench, good)
    rows.rows.append(b"{")
    too_large = incompressible(2_000_000).encode()
    monkeypatch.setattr(
        "libs.producing.publication.ReadAnswer._dead_letter",
        lambda *_: Record(bench.topics.dead_letters.name, None, too_large),
    )
    replica = bench.start(rows)
    (error,) = (await bench.run()).errors
    assert bench.topics.dead_letters.name in error
    assert "MessageSizeTooLarge" in error
    assert await bench.ticks() == []
    assert rows.fetches == 1
    del rows.rows[1]
    assert (await bench.run()).counts() == (1, 0, 1, 0)
    assert not replica.done()


async def test_the_words_of_a_failure_are_cut_to_what_an_event_holds(bench: Bench) -> None:
    class Wordy(Rows):
        async def fetch(self, shard: str, permit: Permit) -> Answer:  # noqa: ARG002 it fails before
            raise FetchFailedError("the provider said: " + incompressible(2_000_000))

    bench.start(Wordy(bench))
    (error,) = (await bench.run()).errors
    assert error.startswith("the provider said: ")
    assert len(error) == LONGEST_ERROR


async def test_a_plan_that_the_broker_refuses_fails_its_run(bench: Bench) -> None:
    class ManyShards(Rows):
        async def shards(self) -> list[str]:
            return [f"{number}-{incompressible(400)}" for number in range(4_000)]

    fetcher = ManyShards(bench)
    bench.start(fetcher)
    (error,) = (await bench.run()).errors
    assert bench.topics.run_events.name in error
    assert fetcher.fetches == 0
