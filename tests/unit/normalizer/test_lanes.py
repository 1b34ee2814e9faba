import asyncio
from collections.abc import Sequence
from datetime import timedelta
from types import SimpleNamespace

import pytest

from libs.postgres.writing.chunks import Destination
from libs.postgres.writing.history import History
from libs.process.clock import SystemClock
from libs.sources.catalogue import SOURCES
from libs.streaming.chunks import Chunk, pack
from services.normalizer.inlets import Inlet
from services.normalizer.lanes import Lane, Most, Read

HISTORY = History(SystemClock().utc, timedelta(days=90), None)
INLET = Inlet(SOURCES["coingecko"], Destination("coingecko", "raw_coingecko", {}, lambda _: 0, HISTORY))


def chunk(topic: str, partition: int, first: int, count: int = 1, value: bytes = b"12345") -> Chunk:
    records = [
        SimpleNamespace(offset=offset, timestamp=0, key=b"", value=value, headers=()) for offset in range(first, first + count)
    ]
    (one,) = pack(topic, partition, records, start=first, end=first + count, follows=None, largest_bytes=1_000_000)
    return one


def read(one: Chunk) -> Read:
    return Read(one, INLET, (), 0.0, 0.0, {})


def places(reads: Sequence[Read]) -> list[tuple[str, int, int]]:
    return [(one.chunk.topic, one.chunk.partition, one.chunk.start) for one in reads]


async def test_a_chunk_that_waits_alone_is_taken_alone() -> None:
    lane = Lane(Most(10, 1_000))
    await lane.put(read(chunk("t", 0, 0)))
    assert places(await lane.take()) == [("t", 0, 0)]


async def test_all_that_waits_of_a_topic_is_taken_in_the_order_in_which_it_came() -> None:
    lane = Lane(Most(10, 1_000))
    for topic, partition, first in (("t", 0, 0), ("u", 0, 0), ("t", 2, 5), ("t", 0, 1), ("u", 2, 0)):
        await lane.put(read(chunk(topic, partition, first)))
    assert places(await lane.take()) == [("t", 0, 0), ("t", 2, 5), ("t", 0, 1)]
    assert places(await lane.take()) == [("u", 0, 0), ("u", 2, 0)]


@pytest.mark.parametrize("most", [Most(5, 1_000), Most(1_000, 25)])
async def test_no_more_waits_than_one_transaction_may_hold(most: Most) -> None:
    lane = Lane(most)
    await lane.put(read(chunk("t", 0, 0, count=3)))
    await lane.put(read(chunk("t", 2, 0, count=2)))
    late = asyncio.create_task(lane.put(read(chunk("t", 0, 3))))
    await asyncio.sleep(0.01)
    assert not late.done()
    assert places(await lane.take()) == [("t", 0, 0), ("t", 2, 0)]
    await late
    assert places(await lane.take()) == [("t", 0, 3)]


async def test_a_chunk_that_is_larger_than_all_that_is_allowed_goes_alone() -> None:
    lane = Lane(Most(2, 10))
    await lane.put(read(chunk("t", 0, 0, count=3)))
    late = asyncio.create_task(lane.put(read(chunk("t", 2, 0))))
    assert places(await lane.take()) == [("t", 0, 0)]
    await late


async def test_whoever_is_cancelled_while_waiting_leaves_the_lane_as_it_was() -> None:
    lane = Lane(Most(1, 10))
    taking = asyncio.create_task(lane.take())
    await asyncio.sleep(0)
    taking.cancel()
    await asyncio.gather(taking, return_exceptions=True)
    await lane.put(read(chunk("t", 0, 0)))
    putting = asyncio.create_task(lane.put(read(chunk("t", 0, 1))))
    await asyncio.sleep(0)
    putting.cancel()
    await asyncio.gather(putting, return_exceptions=True)
    assert places(await lane.take()) == [("t", 0, 0)]
