"""Numbers in a column tell what they are."""

from decimal import Decimal

import pytest

from services.cli.amounts import change, count, magnitude, price, span, sparkline, spread


@pytest.mark.parametrize(
    ("usd", "shown"),
    [
        (None, "-"),
        ("66927.227380145", "66,927.23"),
        ("2.5", "2.5000"),
        ("1.001790502161", "1.0018"),
        ("0.99999999", "1.00000"),
        ("0.0000123456789", "0.0000123457"),
        ("3.84e-18", "3.84e-18"),
        ("0", "0"),
        ("123456789012345", "1.234568e+14"),
    ],
)
def test_prices(usd: str | None, shown: str) -> None:
    assert price(None if usd is None else Decimal(usd)) == shown


@pytest.mark.parametrize(
    ("amount", "shown"),
    [
        (None, "-"),
        ("1317629789047", "1.318 T"),
        ("123218280125.63", "123.2 B"),
        ("1000000", "1.000 M"),
        ("25000", "25.00 k"),
        ("999.96", "1000.0"),
        ("12.5", "12.50"),
        ("0", "0.000"),
        ("1e18", "1.000e+18"),
    ],
)
def test_magnitudes(amount: str | None, shown: str) -> None:
    assert magnitude(None if amount is None else Decimal(amount)) == shown


@pytest.mark.parametrize(
    ("percent", "shown"),
    [(None, "-"), ("1.4321", "+1.43%"), ("-1.43", "-1.43%"), ("0", "+0.00%"), ("12345.6", "+12,346%"), ("1e12", "+1.0e+12%")],
)
def test_changes_have_a_sign(percent: str | None, shown: str) -> None:
    assert change(None if percent is None else Decimal(percent)) == shown
    assert spread(None if percent is None else abs(Decimal(percent))) == shown.removeprefix("+").removeprefix(
        "-" if shown != "-" else ""
    )


def test_spans_and_counts() -> None:
    assert [span(each) for each in (None, -3, 0, 59.9, 60, 3_599, 7_200, 86_400 * 12.5)] == [
        *("-", "0 s", "0 s", "59 s", "1 min", "59 min", "2 h", "12 d"),
    ]
    assert [count(each) for each in (None, 0, 1_234_567)] == ["-", "0", "1,234,567"]


def test_a_sparkline_is_low_where_the_price_was() -> None:
    assert sparkline([Decimal(each) for each in (1, 8, 4, 1)], 12) == "▁█▄▁"
    assert sparkline([Decimal(each) for each in range(20)], 3) == "▁▅█"
    assert sparkline([Decimal(5)] * 3, 12) == "▄▄▄"
    assert sparkline([], 12) == ""
