"""Runs that are not like those before them: each is compared with what its own source did lately. Told, never acted on.

Medians and median deviations, so that one odd run among the earlier ones changes nothing. What is unusual must also be large by
itself (the floors), or a source that is always the same would make an alarm of nothing. A level that the last runs have held
is the new normal.
"""

from bisect import bisect_right
from collections.abc import Callable, Iterable, Sequence
from enum import StrEnum
from itertools import accumulate
from statistics import median
from typing import NamedTuple

from libs.domain.numbers import Number

MOST_HISTORY = 30
"""Succeeded runs of the source that a run is compared with."""
LEAST_HISTORY = 8
"""Fewer say nothing: the first runs of a source are quiet."""
SETTLED = 3
"""Runs at a new level after which it is no longer told."""
DEVIATIONS = 5.0
"""How many times the usual deviation is unusual. Of a normal distribution that is one run in two million."""
TO_SIGMA = 1.4826
"""From a median deviation to what would be the standard deviation of a normal distribution."""

ROWS_FLOOR, ROWS_SHARE_FLOOR = 10.0, 0.1
"""Rows more or fewer, and as a share of the usual number: the larger counts."""
SHARE_FLOOR = 0.25
"""Of the share of rows that the source had said before."""
MEDIAN_MOVE_FLOOR = 2.0
"""Percentage points of the median price move."""
LARGE_MOVE_PERCENT = 10.0
LARGE_MOVES_FLOOR = 0.05
"""Of the share of listings that moved by LARGE_MOVE_PERCENT or more."""
LEAST_ROWS = 50
"""Rows, or listings with two prices, of a run whose shares mean something."""
COMPARABLE_PAUSE = 0.5, 2.0
"""Times the usual pause since the last run: after another one as long, other rows have changed, and prices gone as far."""

MOVE_BOUNDS = (0.01, 0.02, 0.05, 0.1, 0.2, 0.5, 1.0, 2.0, 5.0, LARGE_MOVE_PERCENT, 20.0, 50.0, 100.0)
"""Per cent. Price moves are counted between these, so that what chunks, partitions and workers count adds up."""
MOVE_BUCKETS = len(MOVE_BOUNDS) + 1


class AnomalyKind(StrEnum):
    """What is unusual about a run."""

    ROW_COUNT = "row_count"
    UNCHANGED_SHARE = "unchanged_share"
    PRICE_MOVES = "price_moves"
    LARGE_PRICE_MOVES = "large_price_moves"


class Anomaly(NamedTuple):
    """One unusual thing: what it was, what it usually is, and that in words."""

    kind: AnomalyKind
    value: float
    expected: float
    words: str


class PriceMoves(NamedTuple):
    """How far a run's prices were from what the same listings had said before, up or down."""

    compared: int
    median_percent: float
    large_share: float
    """Of the listings compared, those that moved by LARGE_MOVE_PERCENT or more."""


class RunFacts(NamedTuple):
    """What a run is judged by. `unchanged` are rows that the source had said before, whether they were published again or not."""

    fetched: int
    unchanged: int
    moves: PriceMoves | None = None
    pause_seconds: float | None = None
    """Since the run of its source that succeeded before it."""


def move_bucket(was: Number | None, now: Number | None) -> int | None:
    """Return the place among MOVE_BOUNDS of a price's move, up or down; None without two prices.

    By binary floats: it is counted, never shown as a price.
    """
    if was is None or now is None or (before := float(was)) <= 0:
        return None
    return bisect_right(MOVE_BOUNDS, 100 * abs(float(now) / before - 1))


def moves_of(buckets: Sequence[int]) -> PriceMoves | None:
    """Return what was counted in each bucket, in short; None when nothing was."""
    compared = sum(buckets)
    if not compared:
        return None
    large = sum(buckets[MOVE_BOUNDS.index(LARGE_MOVE_PERCENT) + 1 :])
    return PriceMoves(compared, _median_of(buckets, compared), large / compared)


def anomalies_of(run: RunFacts, history: Sequence[RunFacts]) -> tuple[Anomaly, ...]:
    """Return what is unusual about a succeeded run. `history` are the source's succeeded runs before it, the newest first."""
    judged = [_row_count(run, history)]
    if _has_usual_pause(run, history):
        judged += [_unchanged_share(run, history), _median_move(run, history), _large_moves(run, history)]
    return tuple(anomaly for anomaly in judged if anomaly is not None)


class _Judgement(NamedTuple):
    expected: float
    is_unusual: bool


def _judge(value: float, before: Iterable[float | None], *, floor: Callable[[float], float], upwards: bool = False) -> _Judgement:
    known = [one for one in before if one is not None][:MOST_HISTORY]
    if len(known) < LEAST_HISTORY:
        return _Judgement(0.0, is_unusual=False)
    expected = median(known)
    least, deviation = floor(expected), median(abs(one - expected) for one in known)
    far = value - expected if upwards else abs(value - expected)
    settled = all(abs(value - one) < least for one in known[:SETTLED])
    return _Judgement(expected, far >= max(least, DEVIATIONS * TO_SIGMA * deviation) and not settled)


def _row_count(run: RunFacts, history: Sequence[RunFacts]) -> Anomaly | None:
    def floor(expected: float) -> float:
        return max(ROWS_FLOOR, ROWS_SHARE_FLOOR * expected)

    judged = _judge(run.fetched, (one.fetched for one in history), floor=floor)
    if not judged.is_unusual:
        return None
    words = f"{run.fetched} rows, usually {judged.expected:g}"
    return Anomaly(AnomalyKind.ROW_COUNT, run.fetched, judged.expected, words)


def _unchanged_share(run: RunFacts, history: Sequence[RunFacts]) -> Anomaly | None:
    share = _share(run)
    if share is None:
        return None
    judged = _judge(share, map(_share, history), floor=lambda _: SHARE_FLOOR)
    if not judged.is_unusual:
        return None
    words = f"{share:.0%} of the rows were as before, usually {judged.expected:.0%}"
    return Anomaly(AnomalyKind.UNCHANGED_SHARE, share, judged.expected, words)


def _median_move(run: RunFacts, history: Sequence[RunFacts]) -> Anomaly | None:
    moves = _telling(run)
    if moves is None:
        return None
    before = (known.median_percent if (known := _telling(one)) else None for one in history)
    judged = _judge(moves.median_percent, before, floor=lambda _: MEDIAN_MOVE_FLOOR, upwards=True)
    if not judged.is_unusual:
        return None
    words = f"half of {moves.compared} prices moved by {moves.median_percent:.2g} % or more, usually by {judged.expected:.2g} %"
    return Anomaly(AnomalyKind.PRICE_MOVES, moves.median_percent, judged.expected, words)


def _large_moves(run: RunFacts, history: Sequence[RunFacts]) -> Anomaly | None:
    moves = _telling(run)
    if moves is None:
        return None
    before = (known.large_share if (known := _telling(one)) else None for one in history)
    judged = _judge(moves.large_share, before, floor=lambda _: LARGE_MOVES_FLOOR, upwards=True)
    if not judged.is_unusual:
        return None
    words = (
        f"{moves.large_share:.1%} of {moves.compared} prices moved by {LARGE_MOVE_PERCENT:g} % or more, "
        f"usually {judged.expected:.1%}"
    )
    return Anomaly(AnomalyKind.LARGE_PRICE_MOVES, moves.large_share, judged.expected, words)


def _share(run: RunFacts) -> float | None:
    return run.unchanged / run.fetched if run.fetched >= LEAST_ROWS else None


def _telling(run: RunFacts) -> PriceMoves | None:
    return run.moves if run.moves is not None and run.moves.compared >= LEAST_ROWS else None


def _has_usual_pause(run: RunFacts, history: Sequence[RunFacts]) -> bool:
    known = [one.pause_seconds for one in history if one.pause_seconds is not None]
    if run.pause_seconds is None or not known:
        return False
    shortest, longest = COMPARABLE_PAUSE
    return shortest * median(known) <= run.pause_seconds <= longest * median(known)


def _median_of(buckets: Sequence[int], compared: int) -> float:
    """Find the bucket with the middle, and the middle's place in it as if moves lay evenly there."""
    middle = compared / 2
    for place, through in enumerate(accumulate(buckets)):
        if through >= middle:
            low, high = (0.0, *MOVE_BOUNDS)[place], (*MOVE_BOUNDS, MOVE_BOUNDS[-1])[place]
            return low + (high - low) * (middle - (through - buckets[place])) / buckets[place]
    raise AssertionError("the middle is in one of the buckets")
