from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from libs.domain.rejections import Reason, Rejection
from libs.sources.delimited.numbers import number_of, uses_decimal_comma


@pytest.mark.parametrize(
    ("cell", "number"),
    [
        ("67685.77", "67685.77"),
        (" 67,685.77 ", "67685.77"),
        ("1,234,567", "1234567"),
        ("1.234.567,89", "1234567.89"),
        ("1.234.567", "1234567"),
        ("1.234,56", "1234.56"),
        ("67.685,77", "67685.77"),
        ("1 234", "1234"),
        ("1\N{NO-BREAK SPACE}234\N{NARROW NO-BREAK SPACE}567,8", "1234567.8"),
        ("1'234.5", "1234.5"),
        ("0,5", "0.5"),
        ("0,123", "0.123"),
        ("1234,567", "1234.567"),
        ("1,2345", "1.2345"),
        ("1.234", "1.234"),
        ("$1.33T", "1.33e12"),
        ("2.5 billion", "2.5e9"),
        ("1.2M", "1200000"),
        ("850k", "850000"),
        ("US$5", "5"),
        ("5 USD", "5"),
        ("-$5", "-5"),
        ("$-5", "-5"),
        ("(1.74)", "-1.74"),
        ("($5.2M)", "-5200000"),
        ("\N{MINUS SIGN}1.5", "-1.5"),
        ("3.84e-18", "3.84e-18"),
        ("1E+05", "100000"),
        ("9223372036854775807", "9223372036854775807"),
        ("1.23456789012345678901234567890123M", "1234567.89012345678901234567890123"),
    ],
)
def test_cells_with_one_reading_are_read(cell: str, number: str) -> None:
    assert number_of("price", cell) == Decimal(number)


@pytest.mark.parametrize("cell", ["1,234", "$1,234", "-1,234", "(1,234)", "999,999", "1,234M"])
def test_a_lone_group_behind_a_comma_is_refused_with_the_way_to_write_it(cell: str) -> None:
    refused = number_of("price", cell)
    assert isinstance(refused, Rejection)
    assert refused.reason is Reason.UNREADABLE_NUMBER
    assert "can be read as" in refused.detail


def test_a_lone_group_behind_a_point_is_refused_beside_a_decimal_comma() -> None:
    assert number_of("supply", "1.234") == Decimal("1.234")
    assert isinstance(number_of("supply", "1.234", beside_decimal_comma=True), Rejection)
    assert number_of("supply", "12.5", beside_decimal_comma=True) == Decimal("12.5")


@pytest.mark.parametrize(
    ("cell", "uses"), [("67.685,77", True), ("0,5", True), ("1.234.567", True), ("1 234,5", True), ("1,234", False)]
)
def test_a_decimal_comma_is_seen_only_where_nothing_else_can_be_meant(cell: str, uses: bool) -> None:  # noqa: FBT001 - a table's column
    assert uses_decimal_comma(cell) is uses


@pytest.mark.parametrize("cell", ["", " ", "-", "\N{EM DASH}", "N/A", "nan", "NULL", "\N{INFINITY}", "?"])
def test_what_stands_for_unknown_is_none(cell: str) -> None:
    assert number_of("max_supply", cell) is None


@pytest.mark.parametrize(
    "cell",
    [
        "abc",
        "1.2.3",
        "1,23,456",
        "12,34.5",
        "--5",
        "(-5)",
        "inf",
        "1e99999",
        "0x10",
        "\N{EURO SIGN}5",
        "5 EUR",
        "1 BTC",
        "5%",
        "true",
        ".",
        "1,234.",
        "1" * 500,
    ],
)
def test_what_is_no_number_names_its_column(cell: str) -> None:
    refused = number_of("Market Cap", cell)
    assert isinstance(refused, Rejection)
    assert refused.reason is Reason.UNREADABLE_NUMBER
    assert "'Market Cap'" in refused.detail


@pytest.mark.parametrize(("cell", "number"), [("-1.74%", "-1.74"), ("(1.74%)", "-1.74"), ("+3 %", "3"), ("0.00%", "0")])
def test_per_cent_is_read_where_it_is_expected(cell: str, number: str) -> None:
    assert number_of("24h", cell, percent=True) == Decimal(number)


@given(st.decimals(allow_nan=False, allow_infinity=False, min_value=-(10**15), max_value=10**15))
def test_every_plain_decimal_keeps_its_digits(number: Decimal) -> None:
    assert str(number_of("price", format(number, "f"))) == str(Decimal(format(number, "f")))


@given(st.integers(10**6, 10**15), st.integers(0, 99))
def test_both_worlds_groups_mean_the_same(whole: int, cents: int) -> None:
    ours = f"{whole:,}.{cents:02}"
    theirs = ours.translate(str.maketrans(",.", ".,"))
    assert number_of("price", ours) == number_of("price", theirs) == Decimal(f"{whole}.{cents:02}")


@given(st.text(st.sampled_from("0123456789.,-+ '$%()kKmMbBtTeEusd_\N{NO-BREAK SPACE}"), max_size=500))
def test_no_cell_takes_long_or_raises(cell: str) -> None:
    number = number_of("price", cell, percent=True)
    assert number is None or isinstance(number, Rejection) or number.is_finite()
