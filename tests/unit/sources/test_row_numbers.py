"""A row's numbers are read at a glance where they are plain; whoever looks closely must come to the same."""

from decimal import Decimal

import msgspec
from hypothesis import example, given
from hypothesis import strategies as st

from libs.domain.numbers import number_of
from libs.domain.rejections import Rejection
from libs.sources.numbers import check_numbers, read_numbers

FIELDS = ("price", "cap", "volume", "hour", "day", "week", "circulating", "total", "largest", "rank")
digits = st.decimals(allow_nan=False, allow_infinity=False, min_value=-(10**32), max_value=10**32)
written = st.one_of(
    st.just("null"),
    st.integers(-5, 2**31).map(str),
    digits.map(lambda number: format(number, "f")),
    digits.map(lambda number: format(number, "e")),
    st.sampled_from(["0", "-0", "-0.0", "0.00", "1.50", "1E+3", "3.84e-18", "1e301", "12345678901234567890123456789012"]),
)


@given(st.lists(written, min_size=10, max_size=10))
@example(["-0.0"] * 10)
@example(["null"] * 10)
@example([*["1.50"] * 3, *["-0.00"] * 3, *["0"] * 3, "0"])
def test_both_ways_of_reading_agree(texts: list[str]) -> None:
    careful = check_numbers([None if text == "null" else Decimal(text) for text in texts], FIELDS)
    assert read_numbers([msgspec.Raw(text) for text in texts], FIELDS) == careful


@given(digits, st.integers(0, 8))
def test_a_number_is_plain_and_keeps_value_and_digits(value: Decimal, zeros: int) -> None:
    number = number_of(value.scaleb(-zeros))
    assert Decimal(number) == value.scaleb(-zeros)
    assert "E" not in number
    assert number_of(Decimal(number)) == number
    assert not (number.startswith("-") and Decimal(number) == 0)


def test_what_is_no_number_is_told_with_its_field() -> None:
    outcome = read_numbers([msgspec.Raw(b'"a lot"'), *[msgspec.Raw(b"null")] * 9], FIELDS)
    assert isinstance(outcome, Rejection)
    assert "price" in outcome.detail
