from dataclasses import dataclass
from itertools import pairwise

from hypothesis import given
from hypothesis import strategies as st

from libs.streaming.chunks import Chunk, Record, pack


@dataclass(frozen=True)
class Fetched:
    offset: int
    value: bytes | None
    key: bytes | None = None
    timestamp: int = 0
    headers: tuple[tuple[str, bytes], ...] = ()


def packed(records: list[Record], *, start: int, end: int, largest_bytes: int) -> list[Chunk]:
    return pack("t", 0, records, start=start, end=end, follows=start, largest_bytes=largest_bytes)


@given(st.lists(st.tuples(st.integers(1, 3), st.none() | st.binary(max_size=40)), min_size=1), st.integers(1, 60))
def test_chunks_hold_every_record_once_and_follow_each_other_without_a_hole(
    steps: list[tuple[int, bytes | None]], largest_bytes: int
) -> None:
    offset, records = 10, list[Record]()
    for step, value in steps:
        offset += step
        records.append(Fetched(offset, value))
    chunks = packed(records, start=10, end=offset + 3, largest_bytes=largest_bytes)
    assert [record for chunk in chunks for record in chunk.records] == records
    assert (chunks[0].start, chunks[0].follows, chunks[-1].end) == (10, 10, offset + 3)
    for earlier, later in pairwise(chunks):
        assert later.start == later.follows == earlier.end == earlier.records[-1].offset + 1


@given(st.lists(st.binary(min_size=1, max_size=40), min_size=1), st.integers(1, 60))
def test_a_chunk_is_within_its_bytes_unless_one_record_is_not(values: list[bytes], largest_bytes: int) -> None:
    records: list[Record] = [Fetched(offset, value) for offset, value in enumerate(values)]
    for chunk in packed(records, start=0, end=len(records), largest_bytes=largest_bytes):
        assert len(chunk) == 1 or sum(len(record.value or b"") for record in chunk.records) <= largest_bytes


def test_markers_alone_make_a_chunk_without_records() -> None:
    chunks = packed([], start=4, end=6, largest_bytes=100)
    assert [(len(chunk), chunk.start, chunk.end) for chunk in chunks] == [(0, 4, 6)]
