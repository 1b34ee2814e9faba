"""What the two providers' rows say, and what is refused with which reason. Both read rows alike, so both are asked."""

from copy import deepcopy
from datetime import UTC, datetime, timedelta
from typing import Any

import msgspec
import pytest

from libs.domain.numbers import number_of
from libs.domain.quotes import Quote
from libs.domain.rejections import Reason, Rejection
from libs.sources.catalogue import SOURCES
from libs.sources.source import RowIdentity, Source
from tests.unit.sources.ticks import FETCHED_AT, quote_of_row, reason_of, tick_of

GECKO: dict[str, Any] = {
    "id": "bitcoin",
    "symbol": "btc",
    "name": "Bitcoin",
    "current_price": 37977,
    "market_cap": 719904521373,
    "market_cap_rank": 1,
    "total_volume": 21087410101,
    "price_change_percentage_24h": 0.5,
    "price_change_percentage_1h_in_currency": -0.25,
    "price_change_percentage_7d_in_currency": None,
    "circulating_supply": 18967718.0,
    "total_supply": 21000000.0,
    "max_supply": 21000000.0,
    "last_updated": "2026-03-01T11:31:26.426Z",
}
PAPRIKA: dict[str, Any] = {
    "id": "btc-bitcoin",
    "name": "Bitcoin",
    "symbol": "BTC",
    "rank": 1,
    "circulating_supply": 18784088,
    "total_supply": 18784088,
    "max_supply": 21000000,
    "last_updated": "2026-03-01T11:06:04Z",
    "quotes": {"USD": {"price": 44456.5, "volume_24h": 42.5, "market_cap": 835075076863, "percent_change_24h": -4.01}},
}
PRICE = {"coingecko": ("current_price",), "coinpaprika": ("quotes", "USD", "price")}
RANK = {"coingecko": ("market_cap_rank",), "coinpaprika": ("rank",)}
CHANGE = {"coingecko": ("price_change_percentage_24h",), "coinpaprika": ("quotes", "USD", "percent_change_24h")}


@pytest.fixture(params=["coingecko", "coinpaprika"])
def source(request: pytest.FixtureRequest) -> Source:
    return SOURCES[request.param]


def row_with(source: Source, path: tuple[str, ...], value: object) -> dict[str, Any]:
    row = deepcopy(GECKO if source.name == "coingecko" else PAPRIKA)
    block = row
    for step in path[:-1]:
        block = block[step]
    block[path[-1]] = value
    return row


def quoted(outcome: Quote | Rejection) -> Quote:
    assert isinstance(outcome, Quote), outcome
    return outcome


def test_coingecko_row_reads_field_by_field() -> None:
    quote = quoted(quote_of_row(SOURCES["coingecko"], GECKO))
    assert quote[:6] == ("coingecko", "bitcoin", "btc", "btc", "Bitcoin", number_of(37977))
    assert (quote.market_cap_usd, quote.volume_24h_usd) == (number_of(719904521373), number_of(21087410101))
    assert (quote.percent_change_1h, quote.percent_change_24h, quote.percent_change_7d) == (
        number_of("-0.25"),
        number_of("0.5"),
        None,
    )
    assert str(quote.total_supply) == "21000000.0"
    assert quote.market_cap_rank == 1
    assert quote.source_updated_at == datetime(2026, 3, 1, 11, 31, 26, 426000, tzinfo=UTC)
    assert quote.fetched_at == FETCHED_AT


def test_coinpaprika_row_reads_field_by_field() -> None:
    quote = quoted(quote_of_row(SOURCES["coinpaprika"], PAPRIKA))
    assert quote[:6] == ("coinpaprika", "btc-bitcoin", "btc", "BTC", "Bitcoin", number_of("44456.5"))
    assert (quote.market_cap_usd, quote.volume_24h_usd, quote.percent_change_24h) == (
        number_of(835075076863),
        number_of("42.5"),
        number_of("-4.01"),
    )
    assert (quote.circulating_supply, quote.max_supply, quote.market_cap_rank) == (number_of(18784088), number_of(21000000), 1)


def test_coinpaprika_zero_is_null_exactly_where_the_field_cannot_be_zero() -> None:
    row = PAPRIKA | {"rank": 0, "circulating_supply": 0, "total_supply": 0, "max_supply": 0}
    row["quotes"] = {"USD": {"price": 0, "volume_24h": 0, "market_cap": 0, "percent_change_24h": 0}}
    quote = quoted(quote_of_row(SOURCES["coinpaprika"], row))
    assert (quote.price_usd, quote.market_cap_usd, quote.market_cap_rank) == (None, None, None)
    assert (quote.circulating_supply, quote.total_supply, quote.max_supply) == (None, None, None)
    assert (quote.volume_24h_usd, quote.percent_change_24h) == (number_of(0), number_of(0))


@pytest.mark.parametrize("quotes", [{}, {"EUR": {"price": 1}}, {"USD": None}, {"USD": {}}, None, []])
def test_coinpaprika_row_without_its_dollar_price_is_of_another_shape(quotes: object) -> None:
    assert reason_of(quote_of_row(SOURCES["coinpaprika"], PAPRIKA | {"quotes": quotes})) is Reason.WRONG_SHAPE


def test_unknown_price_is_no_price() -> None:
    assert quoted(quote_of_row(SOURCES["coingecko"], GECKO | {"current_price": None})).price_usd is None


def test_a_row_without_its_price_field_is_of_another_shape() -> None:
    without = {name: value for name, value in GECKO.items() if name != "current_price"}
    assert reason_of(quote_of_row(SOURCES["coingecko"], without)) is Reason.WRONG_SHAPE


def test_unknown_fields_are_no_trouble(source: Source) -> None:
    quoted(quote_of_row(source, row_with(source, ("something_new",), {"deep": [1, None, "x"]})))


@pytest.mark.parametrize("written", ["1.23", "1.230", "3.84e-18", "9223372036854775807", "1.01101101e+16", "-0.0"])
def test_numbers_keep_the_digits_in_numbers_and_in_strings(source: Source, written: str) -> None:
    for value in (msgspec.Raw(written.encode()), written):
        quote = quoted(quote_of_row(source, row_with(source, CHANGE[source.name], value)))
        assert quote.percent_change_24h == number_of(written)


@pytest.mark.parametrize("value", ["NaN", "Infinity", "-Infinity", "sNaN", "garbage", "", "1,5", True, False, "0x1f"])
def test_what_is_no_number_names_its_field(source: Source, value: object) -> None:
    path = PRICE[source.name]
    outcome = quote_of_row(source, row_with(source, path, value))
    assert isinstance(outcome, Rejection)
    assert outcome.reason is Reason.UNREADABLE_NUMBER
    assert path[-1] in outcome.detail


@pytest.mark.parametrize("value", [{}, [], {"usd": 1}])
def test_an_object_in_a_number_s_place_is_of_another_shape(source: Source, value: object) -> None:
    assert reason_of(quote_of_row(source, row_with(source, PRICE[source.name], value))) is Reason.WRONG_SHAPE


@pytest.mark.parametrize(
    "written",
    [
        "1E+999999999",
        "1e-999999999",
        "1e301",
        "1e400",
        "-1",
        "1" * 1001,
        "1" * 5000,
        "0." + "1" * 1000,
        "1e99999999999999999999",
    ],
)
def test_numbers_beyond_reason_are_refused_without_being_spelled_out(source: Source, written: str) -> None:
    path = PRICE[source.name]
    for value in (msgspec.Raw(written.encode()), written):
        reason = reason_of(quote_of_row(source, row_with(source, path, value)))
        assert reason is Reason.NUMBER_OUT_OF_RANGE or (
            reason is Reason.UNREADABLE_NUMBER and written == "1e99999999999999999999"
        )


@pytest.mark.parametrize("written", ["1e-400", "1e999999", "1" * 6000])
def test_numbers_that_we_do_not_read_must_fit_the_raw_table_too(source: Source, written: str) -> None:
    outcome = quote_of_row(source, row_with(source, ("something_new",), msgspec.Raw(written.encode())))
    fits = written == "1e-400"  # NUMERIC has 16,383 places
    assert isinstance(outcome, Quote) if fits else reason_of(outcome) is Reason.NUMBER_OUT_OF_RANGE


@pytest.mark.parametrize(("value", "rank"), [(None, None), (0, None), (7, 7), ("7", 7), (7.0, 7), (2**31 - 1, 2**31 - 1)])
def test_ranks_begin_at_one(source: Source, value: object, rank: int | None) -> None:
    assert quoted(quote_of_row(source, row_with(source, RANK[source.name], value))).market_cap_rank == rank


@pytest.mark.parametrize(
    ("value", "reason"),
    [
        (-1, Reason.NUMBER_OUT_OF_RANGE),
        (2**31, Reason.NUMBER_OUT_OF_RANGE),
        ("1E+999999999", Reason.NUMBER_OUT_OF_RANGE),
        (1.5, Reason.UNREADABLE_NUMBER),
        ("NaN", Reason.UNREADABLE_NUMBER),
        (True, Reason.UNREADABLE_NUMBER),
        ([1], Reason.WRONG_SHAPE),
    ],
)
def test_what_is_no_rank_is_refused(source: Source, value: object, reason: Reason) -> None:
    assert reason_of(quote_of_row(source, row_with(source, RANK[source.name], value))) is reason


@pytest.mark.parametrize(
    ("field", "value", "reason"),
    [
        ("id", None, Reason.MISSING_SOURCE_ID),
        ("id", " ", Reason.MISSING_SOURCE_ID),
        ("id", 17, Reason.WRONG_SHAPE),
        ("id", "x" * 257, Reason.WRONG_SHAPE),
        ("symbol", None, Reason.MISSING_SYMBOL),
        ("symbol", "  ", Reason.MISSING_SYMBOL),
        ("symbol", "x" * 65, Reason.SYMBOL_TOO_LONG),
        ("symbol", ["btc"], Reason.WRONG_SHAPE),
        ("name", {"en": "Bitcoin"}, Reason.WRONG_SHAPE),
        ("name", "x" * 513, Reason.WRONG_SHAPE),
        ("last_updated", "yesterday", Reason.UNREADABLE_TIME),
        ("last_updated", "1970-01-01T00:00:00Z", Reason.UNREADABLE_TIME),
        ("last_updated", "9999-12-31T23:59:59-14:00", Reason.UNREADABLE_TIME),
        ("last_updated", "2026-03-02T12:00:01Z", Reason.TIME_IN_FUTURE),
        ("id", "a\x00b", Reason.NUL_CHARACTER),
        ("name", "a\x00b", Reason.NUL_CHARACTER),
        ("image", ["deep", {"in": "a\x00b"}], Reason.NUL_CHARACTER),
        ("\x00", 1, Reason.NUL_CHARACTER),
    ],
)
def test_bad_rows_are_refused_for_their_reason(source: Source, field: str, value: object, reason: Reason) -> None:
    assert reason_of(quote_of_row(source, row_with(source, (field,), value))) is reason


def test_an_escaped_backslash_before_u0000_is_no_nul(source: Source) -> None:
    quote = quoted(quote_of_row(source, row_with(source, ("name",), r"Bit\u0000coin")))
    assert quote.name == r"Bit\u0000coin"


@pytest.mark.parametrize(
    ("payload", "reason"),
    [
        (b"", Reason.UNDECODABLE),
        (b'{"id":', Reason.UNDECODABLE),
        (b'{"id":"a\xff"}', Reason.UNDECODABLE),
        (b'{"id":"a","unread":"\xff"}', Reason.UNDECODABLE),
        (b'{"price":NaN}', Reason.UNDECODABLE),
        (b'{"id":"\\ud83d"}', Reason.WRONG_SHAPE),
        (b'{"id":"a","unread":"\\udc00"}', Reason.WRONG_SHAPE),
        (b"[]", Reason.WRONG_SHAPE),
        (b"3", Reason.WRONG_SHAPE),
        (b'{"unread":' + b"[" * 5000 + b"]" * 5000 + b"}", Reason.WRONG_SHAPE),
        (b'{"unread":' + b"[" * 200 + b"]" * 200 + b"}", Reason.WRONG_SHAPE),
        (b'{"unread":' + b"[" * 199 + b"]" * 199 + b"}", Reason.MISSING_SOURCE_ID),
        (b'{"escaped": "\\n", "unread":' + b'{"a":' * 5000 + b"1" + b"}" * 5000 + b"}", Reason.WRONG_SHAPE),
        (b'{"unread":"' + b"x" * 600_000 + b'"}', Reason.WRONG_SHAPE),
    ],
)
def test_what_is_no_row_at_all_has_its_reason(source: Source, payload: bytes, reason: Reason) -> None:
    assert reason_of(source.identify(payload, FETCHED_AT)) is reason


@pytest.mark.parametrize("value", [None, "", "0001-01-01T00:00:00Z"])
def test_a_row_without_a_time_has_the_time_of_its_answer(source: Source, value: object) -> None:
    identity = source.identify(msgspec.json.encode(row_with(source, ("last_updated",), value)), FETCHED_AT)
    assert isinstance(identity, RowIdentity)
    assert identity.source_updated_at == FETCHED_AT


@pytest.mark.parametrize("written", ["2026-03-01T09:00:00", "2026-03-01T09:00:00Z", "2026-03-01T10:00:00+01:00"])
def test_times_are_utc_whatever_zone_they_come_in(source: Source, written: str) -> None:
    quote = quoted(quote_of_row(source, row_with(source, ("last_updated",), written)))
    assert quote.source_updated_at == datetime(2026, 3, 1, 9, tzinfo=UTC)
    assert quote.source_updated_at.utcoffset() == timedelta(0)


def test_a_nameless_row_has_no_name_that_could_be_evidence(source: Source) -> None:
    assert quoted(quote_of_row(source, row_with(source, ("name",), None))).name == ""


def test_a_tick_that_lies_about_its_row_is_refused(source: Source) -> None:
    honest = tick_of(source, msgspec.json.encode(GECKO if source.name == "coingecko" else PAPRIKA))
    for lie in ({"source_id": "other"}, {"asset_uid": "eth"}):
        assert reason_of(source.quote_of(msgspec.structs.replace(honest, **lie))) is Reason.IDENTITY_MISMATCH


def test_a_tick_from_no_time_at_all_is_refused(source: Source) -> None:
    honest = tick_of(source, msgspec.json.encode(GECKO if source.name == "coingecko" else PAPRIKA))
    for name in ("fetched_at", "source_updated_at"):
        for time in (datetime(1, 1, 1, tzinfo=UTC), datetime(9999, 12, 31, tzinfo=UTC), datetime(2026, 1, 1)):  # noqa: DTZ001 - naive is the point
            lying = msgspec.structs.replace(honest, **{name: time})
            assert reason_of(source.quote_of(lying)) is Reason.UNREADABLE_TIME
