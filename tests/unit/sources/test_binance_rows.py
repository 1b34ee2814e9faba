"""What Binance's rows say, and that a listing without a name and a market cap changes no asset of anybody else's."""

from collections import defaultdict
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID

import msgspec
import pytest

from libs.domain.assets import Asset, asset_of
from libs.domain.identity import Listing
from libs.domain.numbers import Number, number_of
from libs.domain.quotes import Quote
from libs.domain.rejections import Reason, Rejection
from libs.sources.answers import rows_in
from libs.sources.binance import is_priced_in
from libs.sources.catalogue import OPTIONAL, PRIORITIES, SOURCES, running
from libs.sources.source import RowIdentity
from tests.recorded import FIXTURES, RECORDED, needs_full_recordings
from tests.unit.sources.ticks import FETCHED_AT, quote_of_row, reason_of

BINANCE = SOURCES["binance"]
ANSWER = (FIXTURES / "binance_24hr.json").read_bytes()
ROWS = {msgspec.json.decode(row)["symbol"]: row for row in rows_in(ANSWER)}


def row_with(**said: object) -> dict[str, Any]:
    row: dict[str, Any] = msgspec.json.decode(ROWS["BTCUSDT"])
    return row | said


def quoted(row: dict[str, Any] | bytes) -> Quote:
    outcome = quote_of_row(BINANCE, row)
    assert isinstance(outcome, Quote), outcome
    return outcome


def test_a_row_reads_field_by_field() -> None:
    quote = quoted(ROWS["BTCUSDT"])
    assert quote[:5] == ("binance", "BTCUSDT", "btc", "BTC", "")
    assert (quote.price_usd, quote.volume_24h_usd, quote.percent_change_24h) == (
        "26221.67000000",
        "485217905.04210480",
        "-0.317",
    )
    unknown = (quote.market_cap_usd, quote.market_cap_rank, quote.percent_change_1h, quote.percent_change_7d, quote.total_supply)
    assert unknown == (None,) * 5
    assert quote.source_updated_at == datetime(2023, 9, 26, 23, 59, 59, 999000, tzinfo=UTC)


def test_a_price_keeps_its_eight_places() -> None:
    assert quoted(ROWS["PEPEUSDT"]).price_usd == "0.00000069"


@pytest.mark.parametrize(
    ("pair", "uid"),
    [("BTCUPUSDT", "btcup"), ("JUPUSDT", "jup"), ("BTCUSDC", "btc"), ("ETHFDUSD", "eth"), ("1000SATSUSDT", "1000sats")],
)
def test_an_asset_is_what_stands_before_the_dollars(pair: str, uid: str) -> None:
    assert quoted(row_with(symbol=pair))[1:3] == (pair, uid)


@pytest.mark.parametrize("pair", ["BNBBTC", "USDTTRY", "USDT", "BTCBUSD", "btcusdt", "", "  ", None])
def test_what_is_not_priced_in_dollars_is_no_listing(pair: str | None) -> None:
    assert reason_of(BINANCE.identify(msgspec.json.encode(row_with(symbol=pair)), FETCHED_AT)) is Reason.MISSING_SYMBOL


@pytest.mark.parametrize("said", [{"count": 0}, {"lastPrice": "0.00000000"}, {"lastPrice": None}])
def test_a_pair_that_nobody_trades_has_no_price_and_no_change(said: dict[str, object]) -> None:
    quote = quoted(row_with(**said))
    assert (quote.price_usd, quote.percent_change_24h) == (None, None)
    assert quoted(ROWS["VENUSDT"]).price_usd is None


@pytest.mark.parametrize(
    ("said", "reason"),
    [
        ({"lastPrice": "NaN"}, Reason.UNREADABLE_NUMBER),
        ({"lastPrice": "-1"}, Reason.NUMBER_OUT_OF_RANGE),
        ({"lastPrice": {}}, Reason.WRONG_SHAPE),
        ({"symbol": 7}, Reason.WRONG_SHAPE),
        ({"symbol": "A\x00USDT"}, Reason.NUL_CHARACTER),
        ({"symbol": "A" * 65 + "USDT"}, Reason.SYMBOL_TOO_LONG),
        ({"closeTime": "soon"}, Reason.WRONG_SHAPE),
        ({"closeTime": -1}, Reason.UNREADABLE_TIME),
        ({"closeTime": 1}, Reason.UNREADABLE_TIME),
        ({"closeTime": 1695772799999000}, Reason.UNREADABLE_TIME),
        ({"closeTime": 9_000_000_000_000}, Reason.UNREADABLE_TIME),
        ({"closeTime": 4_000_000_000_000}, Reason.TIME_IN_FUTURE),
    ],
)
def test_bad_rows_are_refused_for_their_reason(said: dict[str, object], reason: Reason) -> None:
    assert reason_of(quote_of_row(BINANCE, row_with(**said))) is reason


def test_a_row_without_a_price_field_is_of_another_shape() -> None:
    row = row_with()
    del row["lastPrice"]
    assert reason_of(quote_of_row(BINANCE, row)) is Reason.WRONG_SHAPE


@pytest.mark.parametrize("said", [None, 0])
def test_a_row_without_a_time_has_the_time_of_its_answer(said: int | None) -> None:
    identity = BINANCE.identify(msgspec.json.encode(row_with(closeTime=said)), FETCHED_AT)
    assert identity == RowIdentity("BTCUSDT", "btc", FETCHED_AT)


def test_pairs_of_other_quote_assets_are_left_out_and_unreadable_ones_are_not() -> None:
    kept = [pair for pair, row in ROWS.items() if is_priced_in(row, "USDT")]
    assert kept == ["BTCUSDT", "BNBUSDT", "JUPUSDT", "BTCUPUSDT", "PEPEUSDT", "VENUSDT"]
    assert [pair for pair, row in ROWS.items() if is_priced_in(row, "USDC")] == ["BTCUSDC"]
    assert all(is_priced_in(row, "USDT") for row in (b'{"symbol":7}', b"{}", b"7", b'{"symbol":" "}'))


def test_it_runs_only_where_it_is_named_and_comes_last() -> None:
    assert {"binance"} == OPTIONAL
    assert running(()) == ("coingecko", "coinpaprika", "csv")
    assert running({"binance"}) == ("coingecko", "coinpaprika", "csv", "binance")


ANSWERS = [
    pytest.param(
        [("coingecko", FIXTURES / "coingecko_markets.json"), ("coinpaprika", FIXTURES / "coinpaprika_tickers.json")], id="trimmed"
    ),
    pytest.param(
        [
            ("coingecko", RECORDED / "payloads" / "coingecko_markets_2022-02-23_250rows.json"),
            ("coinpaprika", RECORDED / "payloads" / "coinpaprika_tickers_full_2021-08-12_3795rows.json"),
        ],
        id="full",
        marks=needs_full_recordings,
    ),
]


def pair_of(held: list[Quote], price: Number | None, at: datetime) -> Quote:
    """What Binance would say of a symbol: a price, a volume, and that it is fresher than anybody."""
    nothing = {"name": "", "market_cap_usd": None, "market_cap_rank": None, "circulating_supply": None, "total_supply": None}
    about = {"source": "binance", "source_id": f"{held[0].asset_uid.upper()}USDT", "price_usd": price, "source_updated_at": at}
    return held[0]._replace(**nothing, **about, fetched_at=at, tick_id=UUID(int=9))  # type: ignore[arg-type]  # by column


def with_binance(answers: list[tuple[str, Any]], *, later: timedelta) -> Iterator[tuple[Asset, Asset]]:
    by_uid: dict[str, list[Quote]] = defaultdict(list)
    for source, path in answers:
        for row in rows_in(path.read_bytes()):
            quote = quote_of_row(SOURCES[source], row)
            assert not isinstance(quote, Rejection)
            by_uid[quote.asset_uid].append(quote)
    for held in by_uid.values():
        before = asset_of(held, PRIORITIES)
        assert before is not None
        newest = max(quote.source_updated_at for quote in held)
        for price in (before.price_usd, number_of("31.4"), None):
            after = asset_of([*held, pair_of(held, price, newest + later)], PRIORITIES)
            assert after is not None
            yield before, after


@pytest.mark.parametrize("answers", ANSWERS)
def test_a_pair_beside_the_recorded_answers_changes_nothing_but_the_number_of_listings(answers: list[tuple[str, Any]]) -> None:
    for before, after in with_binance(answers, later=timedelta(seconds=1)):
        assert after == before._replace(listings_total=before.listings_total + 1)


@pytest.mark.parametrize("answers", ANSWERS)
def test_a_pair_takes_over_only_what_everybody_else_left_a_week_ago(answers: list[tuple[str, Any]]) -> None:
    for before, after in with_binance(answers, later=timedelta(days=8)):
        pair = Listing("binance", f"{before.asset_uid.upper()}USDT")
        assert (after.taken, after.anchor, after.agreeing) == (pair, pair, (pair,))
        assert after.name == after.symbol
