from datetime import UTC, datetime

import pytest

from libs.domain.numbers import number_of
from libs.domain.quotes import Quote
from libs.domain.rejections import Reason
from libs.sources.catalogue import SOURCES
from libs.sources.delimited.columns import fields_of
from libs.sources.delimited.table import read_table
from libs.sources.source import RowIdentity
from tests.recorded import ROOT
from tests.unit.sources.ticks import FETCHED_AT, quote_of_row, reason_of

CSV = SOURCES["csv"]


@pytest.mark.parametrize(
    ("header", "field"),
    [
        ("Ticker", "symbol"),
        ("Coin Symbol", "symbol"),
        ("Coin", "name"),
        ("Coin Name", "name"),
        ("coingecko_id", "source_id"),
        ("current_price", "price"),
        ("Price ($)", "price"),
        ("priceUsd", "price"),
        ("Market Cap (USD)", "market_cap"),
        ("mktCap", "market_cap"),
        ("Market Capitalization", "market_cap"),
        ("24h Volume", "volume"),
        ("Volume (24h)", "volume"),
        ("volumeUsd24Hr", "volume"),
        ("total_volume", "volume"),
        ("% 24h", "percent_change_24h"),
        ("24h %", "percent_change_24h"),
        ("changePercent24Hr", "percent_change_24h"),
        ("price_change_percentage_7d_in_currency", "percent_change_7d"),
        ("Change 1 hour (%)", "percent_change_1h"),
        ("Circulating Supply", "circulating_supply"),
        ("maxSupply", "max_supply"),
        ("#", "rank"),
        ("market_cap_rank", "rank"),
        ("last updated", "updated_at"),
        ("Last Updated (UTC)", "updated_at"),
        ("timestamp", "updated_at"),
        ("Date", "updated_at"),
    ],
)
def test_headers_in_other_words_are_understood(header: str, field: str) -> None:
    assert dict(fields_of((header,))) == {field: (header,)}


@pytest.mark.parametrize(
    "header",
    ["Price (EUR)", "price_btc", "price_change_24h", "Volume 7d", "Supply", "currency", "ath", "market_cap_change_24h", ""],
)
def test_what_is_something_else_is_not_taken_for_ours(header: str) -> None:
    assert dict(fields_of((header,))) == {}


def test_an_untidy_row_reads_field_by_field() -> None:
    row = {
        "#": "1",
        "Coin": "Bitcoin",
        "Symbol": " BTC ",
        "Price": "$67,685.77",
        "Market Cap (USD)": "1.33T",
        "24h Volume": "23.4B",
        "% 24h": "-1.74%",
        "7d": "(2.5%)",
        "Circulating Supply": "19,685,000",
        "Max Supply": "\N{INFINITY}",
        "last updated": "2026-02-28 12:30",
    }
    quote = quote_of_row(CSV, row)
    assert isinstance(quote, Quote)
    assert quote[:6] == ("csv", "btc", "btc", "BTC", "Bitcoin", number_of("67685.77"))
    assert (quote.market_cap_usd, quote.volume_24h_usd) == (number_of("1.33e12"), number_of("23.4e9"))
    assert (quote.percent_change_24h, quote.percent_change_7d) == (number_of("-1.74"), number_of("-2.5"))
    assert (quote.circulating_supply, quote.max_supply, quote.market_cap_rank) == (number_of(19685000), None, 1)
    assert quote.source_updated_at == datetime(2026, 2, 28, 12, 30, tzinfo=UTC)


@pytest.mark.parametrize(
    ("cells", "reason"),
    [
        ({"price": "1,234"}, Reason.UNREADABLE_NUMBER),
        ({"price": "5%"}, Reason.UNREADABLE_NUMBER),
        ({"price": "-5"}, Reason.NUMBER_OUT_OF_RANGE),
        ({"price": "1e999"}, Reason.NUMBER_OUT_OF_RANGE),
        ({"price": "0,5", "volume": "1.234"}, Reason.UNREADABLE_NUMBER),
        ({"price": "1", "price (2)": "2"}, Reason.UNREADABLE_NUMBER),
        ({"rank": "1.5"}, Reason.UNREADABLE_NUMBER),
        ({"date": "06/07/2025"}, Reason.UNREADABLE_TIME),
        ({"date": "2027-01-01"}, Reason.TIME_IN_FUTURE),
        ({"symbol": ""}, Reason.MISSING_SYMBOL),
        ({"symbol": "x" * 65}, Reason.SYMBOL_TOO_LONG),
        ({"note": "a\x00b"}, Reason.NUL_CHARACTER),
        ({"id": "x" * 257}, Reason.WRONG_SHAPE),
    ],
)
def test_bad_cells_are_refused_for_their_reason(cells: dict[str, str], reason: Reason) -> None:
    assert reason_of(quote_of_row(CSV, {"symbol": "BTC"} | cells)) is reason


@pytest.mark.parametrize("payload", [b'{"symbol":3}', b'{"symbol":null}', b'{"symbol":{"is":"BTC"}}', b"[]"])
def test_a_payload_that_is_not_text_cells_is_of_another_shape(payload: bytes) -> None:
    assert reason_of(CSV.identify(payload, FETCHED_AT)) is Reason.WRONG_SHAPE


def test_copies_of_a_column_that_agree_are_one() -> None:
    quote = quote_of_row(CSV, {"symbol": "BTC", "Price": "$67,685.77", "Price (2)": "67685.770"})
    assert isinstance(quote, Quote)
    assert quote.price_usd == number_of("67685.77")


def test_a_change_that_may_be_in_dollars_is_left_out() -> None:
    quote = quote_of_row(CSV, {"symbol": "BTC", "24h Change": "-1200.5", "7d": "1.5%"})
    assert isinstance(quote, Quote)
    assert (quote.percent_change_24h, quote.percent_change_7d) == (None, number_of("1.5"))


def test_an_id_column_names_the_listing_else_the_symbol_does() -> None:
    assert CSV.identify(b'{"symbol":"BTC","id":"bitcoin"}', FETCHED_AT) == RowIdentity("bitcoin", "btc", FETCHED_AT)
    assert CSV.identify(b'{"symbol":"BTC","id":" "}', FETCHED_AT) == RowIdentity("btc", "btc", FETCHED_AT)


def test_a_file_without_a_time_of_its_own_is_older_than_everything() -> None:
    identity = CSV.identify(b'{"symbol":"BTC"}', datetime(1970, 1, 1, tzinfo=UTC))
    assert isinstance(identity, RowIdentity)
    assert identity.source_updated_at.year == 2009


def test_the_bundled_file_is_tidy_and_old() -> None:
    rows = list(read_table((ROOT / "data" / "crypto_market.csv").read_bytes(), "crypto_market.csv").rows)
    quotes = [quote_of_row(CSV, row.payload) for row in rows if row.rejection is None]
    assert len(rows) == len(quotes) == 25
    for quote in quotes:
        assert isinstance(quote, Quote)
        assert quote.price_usd is not None
        assert quote.source_updated_at.year == 2025, "it must not compete with live quotes"
