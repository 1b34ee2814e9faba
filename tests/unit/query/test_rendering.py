"""Numbers as JSON: the digits that Postgres has, in the spelling of the providers."""

import json
from decimal import Decimal

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from services.query.rendering import number, payload


@pytest.mark.parametrize(
    ("stored", "written"),
    [
        ("0.00000000000000000384", b"3.84e-18"),
        ("-0.00000000000000000384", b"-3.84e-18"),
        ("0.0000001", b"1e-7"),
        ("0.000001", b"0.000001"),
        ("-0.000001", b"-0.000001"),
        ("9223372036854775807", b"9223372036854775807"),
        ("5350000000", b"5350000000"),
        ("67685.7700", b"67685.7700"),
        ("-1.25", b"-1.25"),
        ("0", b"0"),
        ("0.00000000", b"0.00000000"),
        ("NaN", b"null"),
        ("Infinity", b"null"),
        ("-Infinity", b"null"),
    ],
)
def test_each_kind_of_number(stored: str, written: bytes) -> None:
    assert msgspec.json.encode(number(stored)) == written


@given(st.decimals(allow_nan=False, allow_infinity=False, min_value=Decimal("-1e30"), max_value=Decimal("1e30"), places=24))
def test_no_digit_is_lost(value: Decimal) -> None:
    written = msgspec.json.encode(number(format(value, "f")))
    assert json.loads(written, parse_float=Decimal, parse_int=Decimal) == value


def test_a_payload_keeps_its_digits_at_every_depth() -> None:
    stored = '{"a": [{"b": 0.00000000000000000384, "c": 0.10}], "d": 123456789012345678901234567890, "e": null, "f": -5.0}'
    assert msgspec.json.encode(payload(stored)) == (
        b'{"a":[{"b":3.84e-18,"c":0.10}],"d":123456789012345678901234567890,"e":null,"f":-5.0}'
    )
