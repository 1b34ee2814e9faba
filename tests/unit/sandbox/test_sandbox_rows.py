"""The sandbox's rows are of the recorded rows' shape: field for field, type for type, spelling for spelling."""

import json
from collections.abc import Iterator
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest

from services.sandbox.market.market import Market
from services.sandbox.market.spelling import go_number, go_percent, ruby_float, ruby_price, text
from services.sandbox.providers.coingecko_rows import WINDOWS, CoinGeckoRows
from services.sandbox.providers.coinpaprika_rows import CoinPaprikaRows

RECORDED = json.loads((Path(__file__).parent / "recorded_fields.json").read_text(encoding="utf-8"))
STEP = 29_000_000


@pytest.fixture(scope="module")
def market() -> Market:
    return Market(1)


@pytest.fixture(scope="module")
def coingecko(market: Market) -> list[dict[str, Any]]:
    rows = CoinGeckoRows(market)
    return [read(rows.row(ranked, WINDOWS, sparkline=False)) for ranked in rows.ranked(STEP)]


@pytest.fixture(scope="module")
def coinpaprika(market: Market) -> list[dict[str, Any]]:
    return [read(row) for row in CoinPaprikaRows(market).at(STEP)]


def read(row: str) -> dict[str, Any]:
    answer: dict[str, Any] = json.loads(row, parse_float=Decimal)
    return answer


def fields(value: object, path: str = "") -> Iterator[tuple[str, str]]:
    if isinstance(value, dict):
        for name, inner in value.items():
            yield from fields(inner, f"{path}.{name}" if path else name)
    else:
        yield path, "null" if value is None else "text" if isinstance(value, str) else "number"


@pytest.mark.parametrize("source", ["coingecko", "coinpaprika"])
def test_rows_have_the_recorded_fields_in_their_order(source: str, request: pytest.FixtureRequest) -> None:
    recorded = [name for name in dict.fromkeys(path.split(".")[0] for path in RECORDED[source]) if name != "roi"]
    for row in request.getfixturevalue(source):
        assert [name for name in row if name not in {"roi", "quotes"}] == [name for name in recorded if name != "quotes"]


@pytest.mark.parametrize("source", ["coingecko", "coinpaprika"])
def test_each_field_takes_the_recorded_types_and_no_other(source: str, request: pytest.FixtureRequest) -> None:
    seen: dict[str, set[str]] = {}
    for row in request.getfixturevalue(source):
        for path, kind in fields(row):
            seen.setdefault(path, set()).add(kind)
    recorded = {path: set(kinds.split(" or ")) for path, kinds in RECORDED[source].items()}
    if source == "coingecko":
        recorded["market_cap_rank"].add("null")  # since 2023, for listings of unknown market cap
    assert {path: kinds - recorded[path] for path, kinds in seen.items() if kinds - recorded[path]} == {}
    assert recorded.keys() - seen.keys() == set()


def test_the_numbers_that_break_consumers_are_there(coingecko: list[dict[str, Any]], coinpaprika: list[dict[str, Any]]) -> None:
    prices = [Decimal(row["quotes"]["USD"]["price"]) for row in coinpaprika]
    assert min(prices) < Decimal("1e-17")
    assert max(prices) > 80_000
    assert any(row["max_supply"] == 9223372036854775807 for row in coinpaprika)
    for field in ("circulating_supply", "max_supply"):
        assert 300 < sum(row[field] == 0 for row in coinpaprika) < 2_200
    assert 300 < sum(row["quotes"]["USD"]["market_cap"] == 0 for row in coinpaprika) < 2_000
    assert 0 < sum(row["market_cap_rank"] is None for row in coingecko) < 500
    assert any(isinstance(row["current_price"], int) for row in coingecko)


def test_tickers_come_in_no_order_of_rank_with_each_rank_once(coinpaprika: list[dict[str, Any]]) -> None:
    ranks = [row["rank"] for row in coinpaprika]
    assert sorted(ranks) == list(range(1, 2_501))
    assert ranks != sorted(ranks)


def test_numbers_are_spelt_as_each_provider_spells_them() -> None:
    assert [go_number(number) for number in (44456.514304206, 3.84e-18, 5.2793121370796e-7, 0.0000171, 7, -0.0, 1e20)] == [
        "44456.514304206",
        "3.84e-18",
        "5.2793121370796e-7",
        "0.0000171",
        "7",
        "0",
        "100000000000000000000",
    ]
    assert [go_percent(percent) for percent in (7.6, -4.0, -0.001, 12.3456)] == ["7.6", "-4", "0", "12.35"]
    assert [ruby_float(number) for number in (21e6, 4.37e-06, 2448524105135891.0, 1.01101101e16, None)] == [
        "21000000.0",
        "4.37e-06",
        "2.448524105135891e+15",
        "1.01101101e+16",
        "null",
    ]
    assert [ruby_price(price) for price in (38938.4, 1.4312, 1.0, 0.001361384, 3.447e-09)] == [
        "38938",
        "1.43",
        "1.0",
        "0.00136138",
        "3.447e-09",
    ]


def test_text_survives_its_escapes() -> None:
    for name in ('"Q" <b>&</b>', "🚀 \\ ß", "tab\tline\n"):
        assert json.loads(text(name)) == name
        assert "<" not in text(name)
