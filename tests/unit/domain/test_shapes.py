"""Which fields a source's rows have, and what is told when that changes."""

from typing import Any
from uuid import UUID

from hypothesis import given
from hypothesis import strategies as st

from libs.domain.shapes import (
    ENOUGH_ROWS,
    MOST_FIELDS,
    ROWS_THAT_TELL,
    DriftKind,
    FieldDrift,
    Shape,
    compared,
    is_as_known,
    learned,
    sight,
    spread,
)

Rows = list[dict[str, Any]]


class Watched:
    """A source whose answers are looked at whole, one shard after another."""

    def __init__(self, **first: Rows) -> None:
        self.shape = Shape()
        self.rows: dict[str, int] = {}
        for shard, rows in first.items():
            self.shape = learned(self.shape, shard, sight(rows))
            self.rows[shard] = len(rows)

    def look(self, shard: str, rows: Rows) -> list[tuple[DriftKind, str]]:
        return [(one.kind, one.field) for one in self.told(shard, rows)]

    def told(self, shard: str, rows: Rows) -> tuple[FieldDrift, ...]:
        look, others = sight(rows), {name: count for name, count in self.rows.items() if name != shard}
        self.rows[shard] = len(rows)
        if is_as_known(self.shape, shard, look, rows=len(rows), others=others):
            return ()
        self.shape, drift = compared(self.shape, shard, look, rows=len(rows), others=others)
        return drift


def many(count: int = 50, **fields: object) -> Rows:
    return [{"id": f"coin-{number}", **fields} for number in range(count)]


def test_fields_are_named_by_their_way_and_typed_as_json() -> None:
    row = {"id": "a", "n": 1.5, "ok": True, "none": None, "quotes": {"USD": {"price": 1}}, "tags": [{"name": "x"}, 3], "o": {}}
    assert {path: list(types) for path, types in sight([row]).seen.items()} == {
        "id": ["string"],
        "n": ["number"],
        "ok": ["boolean"],
        "quotes": ["object"],
        "quotes.USD": ["object"],
        "quotes.USD.price": ["number"],
        "tags": ["array"],
        "tags[].name": ["string"],
        "o": ["object"],
    }


def test_a_map_is_not_a_hundred_fields_and_no_source_has_more_than_a_bound() -> None:
    assert list(sight([{"prices": {f"coin-{n}": n for n in range(100)}}]).seen) == ["prices"]
    assert len(sight([{f"f{n}": n for n in range(2 * MOST_FIELDS)}]).seen) == MOST_FIELDS
    watched = Watched(one=[{f"f{n}": n for n in range(MOST_FIELDS)}])
    assert watched.look("one", [{f"f{n}": n for n in range(MOST_FIELDS)} | {"more": 1}] * 30) == []
    assert not sight([{"x" * 201: 1, "a\0b": 1}]).seen


def test_new_missing_and_retyped_fields_are_told_once() -> None:
    watched = Watched(one=many(price=1, cap=2))
    assert watched.look("one", many(price=1, cap=2)) == []
    assert watched.told("one", many(price="1", volume=3)) == (
        (DriftKind.RETYPED, "price", ("number",), ("string",)),
        (DriftKind.NEW, "volume", (), ("number",)),
        (DriftKind.MISSING, "cap", ("number",), ()),
    )
    assert watched.look("one", many(price="1", volume=3)) == []
    assert watched.look("one", many(price=1, volume=3, cap=2)) == [(DriftKind.NEW, "cap")]


def test_what_is_null_or_absent_in_some_rows_is_no_drift() -> None:
    watched = Watched(one=[*many(30, price=1, supply=None), *many(20, price=None, supply=5)])
    assert watched.look("one", [*many(45, price=1, supply=None), *many(5, price=None)]) == []
    assert watched.look("one", many(50, price=1)) == [], "a field that few rows have says nothing when none has it"


def test_a_field_is_missing_when_no_shard_has_it_any_more() -> None:
    watched = Watched(one=many(cap=1), two=many(cap=1), three=many(5, cap=1))
    assert watched.look("one", many()) == []
    assert watched.look("one", many()) == []
    assert watched.look("two", many()) == []
    assert watched.look("three", many(5)) == [(DriftKind.MISSING, "cap")]
    for shard in ("one", "two", "three"):
        assert watched.look(shard, many(7)) == []


def test_shards_of_two_shapes_do_not_flap() -> None:
    watched = Watched(old=many(a=1, b=2), new=many(a=1, c=3))
    for _ in range(3):
        assert watched.look("old", many(a=1, b=2)) == []
        assert watched.look("new", many(a=1, c=3)) == []


def test_a_field_is_missing_once_the_shard_that_had_it_is_gone() -> None:
    watched = Watched(a=many(x=1), b=many())
    assert watched.look("b", many()) == []
    del watched.rows["a"]
    assert watched.look("b", many()) == [(DriftKind.MISSING, "x")]
    assert "a" not in watched.shape.lacking


def test_few_rows_prove_no_absence() -> None:
    watched = Watched(one=many(ENOUGH_ROWS - 1, cap=1))
    assert watched.look("one", many(ENOUGH_ROWS - 1)) == []
    assert watched.look("one", many(ENOUGH_ROWS)) == [(DriftKind.MISSING, "cap")]


def test_one_odd_row_is_no_drift_and_a_few_per_cent_are() -> None:
    watched = Watched(one=many(200, price=1))
    assert watched.look("one", [*many(199, price=1), {"price": "a lot", "odd": 1}]) == []
    assert watched.look("one", [*many(190, price=1), *many(10, price="1", odd=1)]) == [
        (DriftKind.NEW, "odd"),
        (DriftKind.RETYPED, "price"),
    ]


def test_a_glance_at_few_of_many_rows_does_not_speak_of_absence() -> None:
    shape = learned(Shape(), "one", sight(many(100, cap=1)))
    assert is_as_known(shape, "one", sight(many(ROWS_THAT_TELL - 1)), rows=100, others={})
    assert not is_as_known(shape, "one", sight(many(ROWS_THAT_TELL)), rows=100, others={})
    assert not is_as_known(shape, "one", sight(many(3)), rows=3, others={})


def test_a_column_of_words_may_hold_digits() -> None:
    def cells(value: object) -> str | None:
        return "numeral" if str(value).isdigit() else "text"

    shape = learned(Shape(), "f", sight(many(30, name="Bitcoin", price="1"), cells))
    look = sight(many(30, name="42", price="much"), cells)
    assert [one[:2] for one in compared(shape, "f", look, rows=30, others={})[1]] == [(DriftKind.RETYPED, "price")]


values = st.none() | st.integers() | st.text(max_size=1) | st.booleans() | st.just({"inner": 1}) | st.just([{"inner": "a"}])
answers = st.lists(st.dictionaries(st.sampled_from("abcd"), values, max_size=4), min_size=1, max_size=40)


@given(st.lists(st.tuples(st.sampled_from("xyz"), answers), min_size=1, max_size=8))
def test_an_answer_that_comes_again_is_never_news(polls: list[tuple[str, Rows]]) -> None:
    watched = Watched()
    for shard, rows in polls:
        watched.look(shard, rows)
        assert watched.look(shard, rows) == []


@given(st.lists(answers, min_size=1, max_size=3), st.randoms())
def test_what_was_learned_is_the_same_in_whatever_order_and_is_no_news(pages: list[Rows], chance: Any) -> None:
    watched = Watched(**{f"page{number}": rows for number, rows in enumerate(pages)})
    shuffled = [(number, chance.sample(rows, len(rows))) for number, rows in enumerate(pages)]
    chance.shuffle(shuffled)
    for number, rows in shuffled:
        assert [kind for kind, _ in watched.look(f"page{number}", rows) if kind is not DriftKind.MISSING] == []
    again = Watched(**{f"page{number}": rows for number, rows in shuffled})
    assert {path: known.types for path, known in again.shape.fields.items()} == {
        path: known.types for path, known in Watched(**{f"page{n}": rows for n, rows in enumerate(pages)}).shape.fields.items()
    }


@given(st.integers(1, 64), st.integers(0, 4_000), st.uuids())
def test_a_spread_is_in_order_within_bounds_and_turns(count: int, of: int, run_id: UUID) -> None:
    places = list(spread(count, of, run_id.int))
    assert len(places) == min(count, of)
    assert places == sorted(set(places))
    assert all(0 <= place < of for place in places)


def test_in_time_every_row_is_glanced_at() -> None:
    assert {place for phase in range(250) for place in spread(16, 250, phase)} == set(range(250))
