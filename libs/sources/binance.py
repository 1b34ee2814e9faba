"""Binance: GET /api/v3/ticker/24hr, one row a spot pair, numbers as strings, times in milliseconds.

A pair is written without a sign between its two assets (`BTCUSDT`), and a row says nothing else of them: no name, no rank,
no market cap. So a listing is a pair, its asset_uid is the base asset's symbol, and only pairs priced in a dollar
stablecoin are listings at all. Their prices are in that stablecoin, not in dollars: what a coin that holds its peg is off by.
Without a name and a market cap nothing tells whether it is the coin that others list under this symbol, so it never
agrees with them: it is shown beside them, and makes an asset of its own where nobody else has the symbol.
"""

from datetime import UTC, datetime, timedelta

import msgspec

from libs.contracts.raw_tick import RawTickFrame
from libs.domain.quotes import Quote
from libs.domain.rejections import Reason, Rejection
from libs.sources.numbers import MISSING, read_numbers
from libs.sources.rows import Scalar, quote_from, read_row, row_identity, sane_time
from libs.sources.source import Hosting, RowIdentity, Source

DOLLARS = ("USDT", "USDC", "FDUSD")
"""Quote assets that are taken for US dollars. No other asset that Binance quotes in ends in one of these, so a pair that
does is priced in it; of USD, BUSD ends in it, and `BTCBUSD` would be the price of a BTCB."""

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_LATEST_MILLISECONDS = 10**13
"""In the year 2286; a larger number is of another unit."""


class BinanceRow(msgspec.Struct, frozen=True, kw_only=True):
    """What we read of a row. `lastPrice` must be there: without it the answer is of another kind (the MINI one has it too)."""

    symbol: str | None = None
    lastPrice: msgspec.Raw  # noqa: N815 the provider's spelling, here and below
    priceChangePercent: msgspec.Raw = MISSING  # noqa: N815
    quoteVolume: msgspec.Raw = MISSING  # noqa: N815
    closeTime: int | None = None  # noqa: N815
    count: int | None = None


class _WholeRow(BinanceRow, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """All that Binance sends."""

    priceChange: Scalar = None  # noqa: N815
    weightedAvgPrice: Scalar = None  # noqa: N815
    prevClosePrice: Scalar = None  # noqa: N815
    lastQty: Scalar = None  # noqa: N815
    bidPrice: Scalar = None  # noqa: N815
    bidQty: Scalar = None  # noqa: N815
    askPrice: Scalar = None  # noqa: N815
    askQty: Scalar = None  # noqa: N815
    openPrice: Scalar = None  # noqa: N815
    highPrice: Scalar = None  # noqa: N815
    lowPrice: Scalar = None  # noqa: N815
    volume: Scalar = None
    openTime: Scalar = None  # noqa: N815
    firstId: Scalar = None  # noqa: N815
    lastId: Scalar = None  # noqa: N815


class _Named(msgspec.Struct, frozen=True):
    symbol: str | None = None
    closeTime: int | None = None  # noqa: N815


_row = msgspec.json.Decoder(BinanceRow)
_whole: msgspec.json.Decoder[BinanceRow] = msgspec.json.Decoder(_WholeRow)
_named = msgspec.json.Decoder(_Named)
_FIELDS = ("lastPrice", "", "quoteVolume", "", "priceChangePercent", "", "", "", "", "")


def identify(payload: bytes, fallback: datetime) -> RowIdentity | Rejection:
    """Name the listing: the pair, of the base asset, at the end of the 24 hours that the row tells of."""
    row = read_row(_named, payload)
    if isinstance(row, Rejection):
        return row
    base = _base_of(row.symbol)
    return base if isinstance(base, Rejection) else row_identity(row.symbol, base, _time(row.closeTime, fallback))


def quote_of(frame: RawTickFrame) -> Quote | Rejection:
    """Read what the row says; a pair that nobody traded in its 24 hours has a last price, but that is not what it costs."""
    row = read_row(_row, bytes(frame.payload), whole=_whole)
    if isinstance(row, Rejection):
        return row
    base = _base_of(row.symbol)
    if isinstance(base, Rejection):
        return base
    read = read_numbers((row.lastPrice, MISSING, row.quoteVolume, MISSING, row.priceChangePercent, *[MISSING] * 5), _FIELDS)
    if isinstance(read, Rejection):
        return read
    price, _, volume, _, change, *rest = read[0]
    if row.count == 0 or price is None or not price.strip("0."):
        price = change = None
    numbers = [price, None, volume, None, change, *rest]
    return quote_from(frame, source_id=row.symbol, symbol=base, name=None, numbers=numbers, rank=None)


def is_priced_in(payload: bytes, quote_asset: str) -> bool:
    """Whether a row is to be published when one quote asset is wanted; one whose pair cannot be read is, to be set aside."""
    row = read_row(_named, payload)
    return isinstance(row, Rejection) or not (row.symbol or "").strip() or str(row.symbol).endswith(quote_asset)


def _base_of(pair: str | None) -> str | Rejection:
    """Return the base asset of a pair in dollars. A leveraged token (`BTCUP`) is an asset of its own, and so is JUP."""
    if pair is None or not pair.strip():
        return Rejection(Reason.MISSING_SYMBOL, "the symbol is missing or blank")
    base = next((pair.removesuffix(dollar) for dollar in DOLLARS if pair.endswith(dollar)), None)
    if not base:
        return Rejection(Reason.MISSING_SYMBOL, f"the pair {pair[:80]!r} is no asset priced in {', '.join(DOLLARS)}")
    return base


def _time(milliseconds: int | None, fallback: datetime) -> datetime | Rejection:
    if not milliseconds:
        return fallback
    if not 0 < milliseconds < _LATEST_MILLISECONDS:
        return Rejection(Reason.UNREADABLE_TIME, f"closeTime is not a time in milliseconds: {milliseconds}")
    return sane_time("closeTime", _EPOCH + timedelta(milliseconds=milliseconds))


SOURCE = Source(
    name="binance",
    priority=4,
    attribution=None,
    identify=identify,
    quote_of=quote_of,
    hosting=Hosting(probe="https://data-api.binance.vision/api/v3/ping", sandbox_path="/binance/api/v3"),
    optional=True,
)
