"""Which rows of an answer are looked at for drift, and what is learned from the first."""

import json
from collections.abc import Sequence
from dataclasses import replace
from uuid import UUID

from hypothesis import given
from hypothesis import strategies as st

from libs.producing.drift import Found, KnownShape, Looking, known_shape, shape_cursor
from libs.sources.coingecko import SOURCE

FIRST, NEXT = UUID(int=1), UUID(int=2)


def rows(count: int, **fields: object) -> list[bytes]:
    return [json.dumps({"id": f"coin-{number}", **fields}).encode() for number in range(count)]


def looking(answer: Sequence[bytes], known: KnownShape | None, run_id: UUID = NEXT) -> Looking:
    return Looking(SOURCE, run_id, "1", answer, known, {})


def learned(answer: Sequence[bytes]) -> KnownShape:
    known = looking(answer, None, FIRST).found(range(len(answer))).known
    assert known is not None
    return known


def test_an_answer_without_news_is_not_looked_at() -> None:
    assert looking([b"not even JSON"] * 9, learned(rows(9))).found([]) == Found()


def test_what_is_learned_from_the_first_run_is_told_by_none_of_its_shards() -> None:
    known = learned(rows(30, price=1))
    other = replace(looking(rows(30, price=1, roi=2), known, FIRST), shard="2").found(range(30))
    assert other.drift == ()
    assert other.known is not None
    assert "roi" in other.known.shape.fields


def test_an_empty_first_answer_teaches_nothing_and_the_next_is_the_first() -> None:
    empty = learned([])
    found = looking(rows(30, price=1), empty).found(range(30))
    assert found.drift == ()
    assert found.known is not None
    assert found.known.learned_in == NEXT


def test_a_change_in_every_row_is_found_in_any_few_that_are_news() -> None:
    known = learned(rows(1_000, price=1))
    answer = rows(1_000, price="1")
    assert [one.field for one in looking(answer, known).found([17]).drift] == ["price"]
    assert looking(answer, known).found([17]) == looking(answer, known).found([17]), "a decision made anew is the same"


@given(st.integers(0, 40), st.integers(1, 30))
def test_what_is_remembered_is_what_was_known(price: int, count: int) -> None:
    known = learned([*rows(count, price=price), *rows(3, tags=[{"a": 1}])])
    assert known_shape(shape_cursor("coingecko", known)) == known
