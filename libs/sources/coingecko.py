"""CoinGecko: GET /coins/markets in US dollars, with price_change_percentage=1h,24h,7d."""

from datetime import datetime

import msgspec
from msgspec.structs import astuple

from libs.contracts.raw_tick import RawTickFrame
from libs.domain.quotes import Quote
from libs.domain.rejections import Rejection
from libs.sources.entries import identify_entry
from libs.sources.numbers import MISSING, read_numbers
from libs.sources.rows import Scalar, quote_from, read_row
from libs.sources.source import Attribution, Hosting, RowIdentity, Source


class CoinGeckoRow(msgspec.Struct, frozen=True, kw_only=True):
    """What we read of a row. Null means unknown; 0 is taken as said.

    `current_price` must be there, null or not: without it the answer is of another kind, and the last good quote stays.
    """

    id: str | None = None
    symbol: str | None = None
    name: str | None = None
    current_price: msgspec.Raw
    market_cap: msgspec.Raw = MISSING
    total_volume: msgspec.Raw = MISSING
    price_change_percentage_1h_in_currency: msgspec.Raw = MISSING
    price_change_percentage_24h: msgspec.Raw = MISSING
    price_change_percentage_7d_in_currency: msgspec.Raw = MISSING
    circulating_supply: msgspec.Raw = MISSING
    total_supply: msgspec.Raw = MISSING
    max_supply: msgspec.Raw = MISSING
    market_cap_rank: msgspec.Raw = MISSING


class _WholeRow(CoinGeckoRow, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """All that CoinGecko sends with the windows that we ask for, and with those that it has besides."""

    image: Scalar = None
    fully_diluted_valuation: Scalar = None
    high_24h: Scalar = None
    low_24h: Scalar = None
    price_change_24h: Scalar = None
    market_cap_change_24h: Scalar = None
    market_cap_change_percentage_24h: Scalar = None
    ath: Scalar = None
    ath_change_percentage: Scalar = None
    ath_date: Scalar = None
    atl: Scalar = None
    atl_change_percentage: Scalar = None
    atl_date: Scalar = None
    roi: dict[str, Scalar] | None = None
    last_updated: Scalar = None
    price_change_percentage_24h_in_currency: Scalar = None
    price_change_percentage_14d_in_currency: Scalar = None
    price_change_percentage_30d_in_currency: Scalar = None
    price_change_percentage_200d_in_currency: Scalar = None
    price_change_percentage_1y_in_currency: Scalar = None


_row = msgspec.json.Decoder(CoinGeckoRow)
_whole: msgspec.json.Decoder[CoinGeckoRow] = msgspec.json.Decoder(_WholeRow)
_NUMBERS = slice(CoinGeckoRow.__struct_fields__.index("current_price"), len(CoinGeckoRow.__struct_fields__))
_FIELDS = CoinGeckoRow.__struct_fields__[_NUMBERS]


def identify(payload: bytes, fallback: datetime) -> RowIdentity | Rejection:
    """Name the listing. A coin without trades has no `last_updated`: then the fallback, when its content was first seen."""
    return identify_entry(payload, fallback)


def quote_of(frame: RawTickFrame) -> Quote | Rejection:
    """Read what the row says."""
    row = read_row(_row, bytes(frame.payload), whole=_whole)
    if isinstance(row, Rejection):
        return row
    read = read_numbers(astuple(row)[_NUMBERS], _FIELDS)
    if isinstance(read, Rejection):
        return read
    numbers, rank = read
    return quote_from(frame, source_id=row.id, symbol=row.symbol, name=row.name, numbers=numbers, rank=rank)


SOURCE = Source(
    name="coingecko",
    priority=1,
    attribution=Attribution("Data provided by CoinGecko", "https://www.coingecko.com"),
    identify=identify,
    quote_of=quote_of,
    hosting=Hosting(probe="https://api.coingecko.com/api/v3/ping", sandbox_path="/api/v3"),
)
