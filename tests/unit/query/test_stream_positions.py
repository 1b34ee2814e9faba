"""Positions: what a client is given it can give back; whatever else it gives is refused by name."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from services.query.live.positions import LONGEST_POSITION, Position, decode_position, encode_position

NUMBERS = st.integers(0, 2**63 - 1)


@given(NUMBERS, st.lists(NUMBERS, min_size=1, max_size=64))
def test_a_position_comes_back_as_it_was_given(newest_ms: int, offsets: list[int]) -> None:
    text = encode_position(newest_ms, offsets).decode()
    assert len(text) <= LONGEST_POSITION
    assert decode_position(text) == Position(newest_ms, tuple(offsets))


@pytest.mark.parametrize(
    "text",
    [
        "",
        "1",
        "1.",
        ".1",
        "1..2",
        "-1.2",
        "1.g",
        "1.2 ",
        "1.2\n",
        "0x1.2",
        "1.2,3",
        "ffffffffffffffff.1",
        "1.\u0665",
        "1." * 2_000,
    ],
)
def test_what_is_none_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match="not an event id"):
        decode_position(text)
