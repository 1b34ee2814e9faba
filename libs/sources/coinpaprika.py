"""CoinPaprika: GET /v1/tickers with quotes=USD. Its servers write 0 for what they do not know."""

from datetime import datetime
from decimal import Decimal

import msgspec

from libs.contracts.raw_tick import RawTickFrame
from libs.domain.quotes import Quote
from libs.domain.rejections import Rejection
from libs.sources.rows import quote_from, read_row, row_identity, time_of
from libs.sources.source import Attribution, RowIdentity, Source


class _Known(msgspec.Struct, frozen=True):
    id: str | None = None
    symbol: str | None = None
    last_updated: str | None = None


class CoinPaprikaUsd(msgspec.Struct, frozen=True, kw_only=True):
    """The US dollar block. A volume of 0 is a day without trades, a change of 0 a price that stood still: both stay 0."""

    price: Decimal | None
    volume_24h: Decimal | None = None
    market_cap: Decimal | None = None
    percent_change_1h: Decimal | None = None
    percent_change_24h: Decimal | None = None
    percent_change_7d: Decimal | None = None


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
    rank: Decimal | None = None
    circulating_supply: Decimal | None = None
    total_supply: Decimal | None = None
    max_supply: Decimal | None = None
    quotes: CoinPaprikaQuotes


_known = msgspec.json.Decoder(_Known)
_row = msgspec.json.Decoder(CoinPaprikaRow)
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
    row = read_row(_known, payload)
    if isinstance(row, Rejection):
        return row
    return row_identity(row.id, row.symbol, time_of("last_updated", row.last_updated, fallback))


def quote_of(frame: RawTickFrame) -> Quote | Rejection:
    """Read what the row says; `x or None` is "0 means missing"."""
    row = read_row(_row, bytes(frame.payload))
    if isinstance(row, Rejection):
        return row
    usd = row.quotes.USD
    numbers = (
        usd.price or None,
        usd.market_cap or None,
        usd.volume_24h,
        usd.percent_change_1h,
        usd.percent_change_24h,
        usd.percent_change_7d,
        row.circulating_supply or None,
        row.total_supply or None,
        row.max_supply or None,
    )
    return quote_from(
        frame,
        source_id=row.id,
        symbol=row.symbol,
        name=row.name,
        numbers=numbers,
        rank=row.rank,
        fields=_FIELDS,
    )


SOURCE = Source(
    name="coinpaprika",
    priority=2,
    attribution=Attribution("Powered by CoinPaprika", "https://coinpaprika.com"),
    identify=identify,
    quote_of=quote_of,
)
