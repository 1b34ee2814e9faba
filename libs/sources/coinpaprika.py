"""CoinPaprika: GET /v1/tickers with quotes=USD. Its servers write 0 for what they do not know."""

from datetime import datetime

import msgspec

from libs.contracts.raw_tick import RawTickFrame
from libs.domain.numbers import Number
from libs.domain.quotes import Quote
from libs.domain.rejections import Rejection
from libs.sources.entries import identify_entry
from libs.sources.numbers import MISSING, read_numbers
from libs.sources.rows import Scalar, quote_from, read_row
from libs.sources.source import Attribution, Hosting, RowIdentity, Source


class CoinPaprikaUsd(msgspec.Struct, frozen=True, kw_only=True):
    """The US dollar block. A volume of 0 is a day without trades, a change of 0 a price that stood still: both stay 0."""

    price: msgspec.Raw
    volume_24h: msgspec.Raw = MISSING
    market_cap: msgspec.Raw = MISSING
    percent_change_1h: msgspec.Raw = MISSING
    percent_change_24h: msgspec.Raw = MISSING
    percent_change_7d: msgspec.Raw = MISSING


class CoinPaprikaQuotes(msgspec.Struct, frozen=True):
    """We ask for US dollars, so a row without them is of another kind: it is refused, and the last good quote stays."""

    USD: CoinPaprikaUsd


class CoinPaprikaRow(msgspec.Struct, frozen=True, kw_only=True):
    """What we read of a row.

    0 becomes null where the thing cannot be zero: a price (nothing traded is free), a market cap (2,042 of the recorded
    3,795 rows have 0), the three supplies (a coin that has a price exists; 0 in max_supply also stands for "no limit") and
    the rank (ranks begin at 1; 0 is a listing that is not ranked).
    """

    id: str | None = None
    symbol: str | None = None
    name: str | None = None
    rank: msgspec.Raw = MISSING
    circulating_supply: msgspec.Raw = MISSING
    total_supply: msgspec.Raw = MISSING
    max_supply: msgspec.Raw = MISSING
    quotes: CoinPaprikaQuotes


class _WholeUsd(CoinPaprikaUsd, frozen=True, kw_only=True, forbid_unknown_fields=True):
    volume_24h_change_24h: Scalar = None
    market_cap_change_24h: Scalar = None
    percent_change_15m: Scalar = None
    percent_change_30m: Scalar = None
    percent_change_6h: Scalar = None
    percent_change_12h: Scalar = None
    percent_change_30d: Scalar = None
    percent_change_1y: Scalar = None
    ath_price: Scalar = None
    ath_date: Scalar = None
    percent_from_price_ath: Scalar = None


class _WholeQuotes(CoinPaprikaQuotes, frozen=True, forbid_unknown_fields=True):
    USD: _WholeUsd


class _WholeRow(CoinPaprikaRow, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """All that CoinPaprika sends."""

    beta_value: Scalar = None
    first_data_at: Scalar = None
    last_updated: Scalar = None
    quotes: _WholeQuotes


_row = msgspec.json.Decoder(CoinPaprikaRow)
_whole: msgspec.json.Decoder[CoinPaprikaRow] = msgspec.json.Decoder(_WholeRow)
_FIELDS = (
    "quotes.USD.price",
    "quotes.USD.market_cap",
    "quotes.USD.volume_24h",
    "quotes.USD.percent_change_1h",
    "quotes.USD.percent_change_24h",
    "quotes.USD.percent_change_7d",
    "circulating_supply",
    "total_supply",
    "max_supply",
    "rank",
)


def identify(payload: bytes, fallback: datetime) -> RowIdentity | Rejection:
    """Name the listing."""
    return identify_entry(payload, fallback)


def quote_of(frame: RawTickFrame) -> Quote | Rejection:
    """Read what the row says; `_positive` is "0 means missing"."""
    row = read_row(_row, bytes(frame.payload), whole=_whole)
    if isinstance(row, Rejection):
        return row
    usd = row.quotes.USD
    changes = (usd.percent_change_1h, usd.percent_change_24h, usd.percent_change_7d)
    supplies = (row.circulating_supply, row.total_supply, row.max_supply)
    read = read_numbers([usd.price, usd.market_cap, usd.volume_24h, *changes, *supplies, row.rank], _FIELDS)
    if isinstance(read, Rejection):
        return read
    price, market_cap, volume, *changed, circulating, total, largest = read[0]
    numbers = [_positive(price), _positive(market_cap), volume, *changed, *map(_positive, (circulating, total, largest))]
    return quote_from(frame, source_id=row.id, symbol=row.symbol, name=row.name, numbers=numbers, rank=read[1])


def _positive(number: Number | None) -> Number | None:
    return number if number is not None and number.strip("0.") else None


SOURCE = Source(
    name="coinpaprika",
    priority=2,
    attribution=Attribution("Powered by CoinPaprika", "https://coinpaprika.com"),
    identify=identify,
    quote_of=quote_of,
    hosting=Hosting(probe="https://api.coinpaprika.com/v1/global", sandbox_path="/v1"),
)
