"""Numbers that need no closer look are taken as they are; that must be what a closer look would give."""

from decimal import Decimal

import msgspec
from hypothesis import example, given
from hypothesis import strategies as st

from libs.domain.rejections import Rejection
from libs.sources.numbers import check_numbers, read_numbers

FIELDS = [f"field {number}" for number in range(10)]
DECIMAL = msgspec.json.Decoder(Decimal | None)
number = st.from_regex(r"-?(0|[1-9][0-9]{0,40})(\.[0-9]{1,40})?([eE][+-]?[0-9]{1,3})?", fullmatch=True)
plain = st.from_regex(r"-?(0|[1-9][0-9]{0,12})(\.[0-9]{1,12})?", fullmatch=True)
odd = st.sampled_from(["-0", "-0.0", "0", "0.0", "-0.00000001", "true", '"1"', "[1]", "2147483648"])
cell = st.just("null") | plain | number | odd


@given(st.lists(cell, min_size=10, max_size=10))
@example(["1"] * 3 + ["-0.0"] * 3 + ["1"] * 4)
@example(["1"] * 9 + ["999999999"])
@example(["1"] * 9 + ["0"])
@example(["1" * 299] + ["null"] * 9)
@example(["1" * 400] + ["null"] * 9)
def test_what_is_taken_as_it_is_is_what_a_closer_look_gives(cells: list[str]) -> None:
    raw = [msgspec.Raw(one.encode()) for one in cells]
    try:
        looked = check_numbers([DECIMAL.decode(one) for one in cells], FIELDS)
    except msgspec.ValidationError:
        looked = None
    taken = read_numbers(raw, FIELDS)
    assert isinstance(taken, Rejection) if looked is None else taken == looked


@given(st.lists(st.just("null") | plain.filter(lambda one: not one.startswith("-")), min_size=9, max_size=9))
def test_digits_are_kept_as_they_were_sent(cells: list[str]) -> None:
    read = read_numbers([msgspec.Raw(one.encode()) for one in [*cells, "7"]], FIELDS)
    assert read == ([None if one == "null" else one for one in cells], 7)
