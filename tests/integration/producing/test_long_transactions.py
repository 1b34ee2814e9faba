"""Answers whose transaction takes long."""

import asyncio
import json
import time
from collections.abc import Sequence

import pytest

from libs.kafka import transactions
from libs.kafka.records import Position, Record
from libs.kafka.tailing import read_to_end
from libs.kafka.transactions import Transaction
from tests.integration.producing.bench import Bench, coins
from tests.integration.producing.test_large_rows import Rows


async def test_a_shard_whose_transaction_always_expires_fails_and_says_so(bench: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(transactions, "TRANSACTION_TIMEOUT_MS", 1_000)
    send = Transaction.send

    async def slow_for_ticks(transaction: Transaction, records: Sequence[Record]) -> list[Position]:
        positions = await send(transaction, records)
        if any(record.topic == bench.topics.raw.name for record in records):
            await read_to_end(bench.connection, bench.topics.raw.name)  # which waits until the broker has given it up
        return positions

    monkeypatch.setattr(Transaction, "send", slow_for_ticks)
    rows = Rows(bench, *(json.dumps(row).encode() for row in coins(range(10))))
    replica = bench.start(rows)
    (error,) = (await bench.run()).errors
    assert "the broker allows 1 s" in error
    assert rows.fetches == 1
    assert await bench.ticks() == []
    monkeypatch.undo()
    assert (await bench.run()).counts() == (10, 0, 10, 0)
    assert not replica.done()


async def test_a_long_answer_is_one_transaction_and_does_not_hold_up_the_heartbeats(bench: Bench) -> None:
    count = 60_001
    rows = Rows(bench, *(json.dumps({**row, "junk": "x" * 800}).encode() for row in coins(range(count))))
    stalls: list[float] = []

    async def measure() -> None:
        while True:
            before = time.monotonic()
            await asyncio.sleep(0.02)
            stalls.append(time.monotonic() - before)

    measuring = asyncio.create_task(measure())
    bench.start(rows)
    began = time.monotonic()
    story = await bench.run()
    measuring.cancel()
    assert story.counts() == (count, 0, count, 0)
    assert max(stalls) < (time.monotonic() - began) / 3, "the loop was held up for most of the work"
    (event,) = story.published
    last: dict[int, int] = {}
    for record in await bench.raw():
        last[record.partition] = max(record.offset, last.get(record.partition, -1))
    assert event.last_offsets == last
