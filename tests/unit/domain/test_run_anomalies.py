"""Which runs are unusual, and that the usual ones are left alone."""

from hypothesis import given
from hypothesis import strategies as st

from libs.domain.anomalies import (
    LEAST_HISTORY,
    MOST_HISTORY,
    MOVE_BOUNDS,
    MOVE_BUCKETS,
    SETTLED,
    AnomalyKind,
    PriceMoves,
    RunFacts,
    anomalies_of,
    move_bucket,
    moves_of,
)
from libs.domain.numbers import number_of

CALM = PriceMoves(compared=200, median_percent=0.3, large_share=0.01)
USUAL = RunFacts(fetched=250, unchanged=50, moves=CALM, pause_seconds=300.0)
HISTORY = [USUAL] * 12


def kinds(run: RunFacts, history: list[RunFacts] | None = None) -> list[AnomalyKind]:
    return [anomaly.kind for anomaly in anomalies_of(run, HISTORY if history is None else history)]


def test_each_kind_is_told_with_what_was_expected_in_words() -> None:
    wild = PriceMoves(compared=200, median_percent=7.5, large_share=0.4)
    odd = RunFacts(fetched=125, unchanged=120, moves=wild, pause_seconds=290.0)
    assert [(anomaly.kind.value, anomaly.expected, anomaly.words) for anomaly in anomalies_of(odd, HISTORY)] == [
        ("row_count", 250, "125 rows, usually 250"),
        ("unchanged_share", 0.2, "96% of the rows were as before, usually 20%"),
        ("price_moves", 0.3, "half of 200 prices moved by 7.5 % or more, usually by 0.3 %"),
        ("large_price_moves", 0.01, "40.0% of 200 prices moved by 10 % or more, usually 1.0%"),
    ]


def test_a_run_like_the_others_is_not_unusual() -> None:
    assert kinds(USUAL) == []
    assert kinds(USUAL._replace(fetched=230, unchanged=90, moves=CALM._replace(median_percent=1.9))) == []


def test_the_first_runs_are_quiet() -> None:
    odd = USUAL._replace(fetched=1)
    assert kinds(odd, HISTORY[: LEAST_HISTORY - 1]) == []
    assert kinds(odd, HISTORY[:LEAST_HISTORY]) == [AnomalyKind.ROW_COUNT]


def test_a_small_source_does_not_cry_wolf() -> None:
    small = [RunFacts(12, 0, PriceMoves(12, 0.3, 0.0), 300.0)] * 12
    assert kinds(RunFacts(4, 4, PriceMoves(12, 40.0, 0.9), 300.0), small) == []
    assert kinds(RunFacts(0, 0, None, 300.0), small) == [AnomalyKind.ROW_COUNT]


def test_a_source_that_always_varies_may_vary() -> None:
    varying = [USUAL._replace(fetched=250 + 60 * (number % 5)) for number in range(20)]
    assert kinds(USUAL._replace(fetched=520), varying) == []
    assert kinds(USUAL._replace(fetched=60, unchanged=12), varying) == []
    assert kinds(USUAL._replace(fetched=2_000), varying) == [AnomalyKind.ROW_COUNT]


def test_a_new_level_is_normal_after_some_runs() -> None:
    bigger = USUAL._replace(fetched=1_000)
    assert kinds(bigger, [*[bigger] * (SETTLED - 1), *HISTORY]) == [AnomalyKind.ROW_COUNT]
    assert kinds(bigger, [*[bigger] * SETTLED, *HISTORY]) == []


def test_after_a_longer_or_shorter_pause_only_the_rows_are_counted() -> None:
    odd = RunFacts(fetched=10, unchanged=10, moves=CALM._replace(median_percent=50), pause_seconds=300.0)
    for pause in (3.0, 3_000.0, None):
        assert kinds(odd._replace(fetched=250, unchanged=250, pause_seconds=pause)) == []
        assert kinds(odd._replace(pause_seconds=pause)) == [AnomalyKind.ROW_COUNT]


def test_prices_that_stand_still_are_no_alarm() -> None:
    wild = [USUAL._replace(moves=PriceMoves(200, 5.0, 0.3))] * 12
    assert kinds(USUAL._replace(moves=PriceMoves(200, 0.0, 0.0)), wild) == []


def test_a_move_is_counted_up_or_down_and_only_between_two_prices() -> None:
    def bucket(was: str | None, now: str | None) -> int | None:
        return move_bucket(*(None if price is None else number_of(price) for price in (was, now)))

    assert bucket("100", "100") == 0
    assert bucket("100", "110.5") == bucket("100", "89") == MOVE_BOUNDS.index(10.0) + 1
    assert bucket("100", "99.85") == MOVE_BOUNDS.index(0.1) + 1
    assert bucket("1e-300", "1e300") == MOVE_BUCKETS - 1
    assert bucket(None, "1") is bucket("1", None) is bucket("0", "1") is None


def test_moves_are_told_in_short() -> None:
    buckets = [0] * MOVE_BUCKETS
    assert moves_of(buckets) is None
    buckets[MOVE_BOUNDS.index(1.0) + 1], buckets[MOVE_BOUNDS.index(10.0) + 1] = 60, 20
    moves = moves_of(buckets)
    assert moves is not None
    assert (moves.compared, moves.large_share) == (80, 0.25)
    assert 1.0 < moves.median_percent < 2.0


facts = st.builds(
    RunFacts,
    fetched=st.integers(0, 3_000),
    unchanged=st.integers(0, 3_000),
    moves=st.none() | st.builds(PriceMoves, st.integers(1, 500), st.floats(0, 100), st.floats(0, 1)),
    pause_seconds=st.none() | st.floats(-10, 4_000),
)


@given(facts, st.lists(facts, max_size=MOST_HISTORY + 5))
def test_any_run_can_be_judged_and_one_as_the_last_three_is_always_usual(run: RunFacts, history: list[RunFacts]) -> None:
    assert all(anomaly.words for anomaly in anomalies_of(run, history))
    assert anomalies_of(run, [*[run] * SETTLED, *history]) == ()


@given(st.lists(st.integers(0, 50), min_size=MOVE_BUCKETS, max_size=MOVE_BUCKETS))
def test_a_median_lies_where_half_of_the_moves_do(buckets: list[int]) -> None:
    moves = moves_of(buckets)
    if moves is not None:
        below = sum(count for count, bound in zip(buckets, MOVE_BOUNDS, strict=False) if bound <= moves.median_percent)
        assert below <= moves.compared / 2 or moves.median_percent in MOVE_BOUNDS
        assert 0 <= moves.median_percent <= MOVE_BOUNDS[-1]
