"""Sets of offsets, as ranges that ascend and do not touch. Pure."""

from bisect import bisect_right
from collections.abc import Iterable, Sequence

from libs.contracts.settlements import OffsetRange

Ranges = tuple[OffsetRange, ...]


def joined(*several: Iterable[OffsetRange]) -> Ranges:
    """Return the union of ranges in any order; an empty range is none."""
    found: list[OffsetRange] = []
    for start, end in sorted(one for ranges in several for one in ranges if one[0] < one[1]):
        if found and start <= found[-1][1]:
            found[-1] = found[-1][0], max(end, found[-1][1])
        else:
            found.append((start, end))
    return tuple(found)


def holds(ranges: Sequence[OffsetRange], offset: int) -> bool:
    """Whether the offset is in one of the ranges."""
    place = bisect_right(ranges, offset, key=lambda one: one[0])
    return place > 0 and offset < ranges[place - 1][1]


def below(ranges: Iterable[OffsetRange], limit: int) -> Ranges:
    """Return what of the ranges is below the limit."""
    return tuple((start, min(end, limit)) for start, end in ranges if start < limit)


def first_outside(ranges: Iterable[OffsetRange], start: int) -> int:
    """Return the lowest offset, from `start` on, that is in no range."""
    for begin, end in ranges:
        if begin > start:
            break
        start = max(start, end)
    return start
