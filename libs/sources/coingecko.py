"""CoinGecko: GET /coins/markets in US dollars, with price_change_percentage=1h,24h,7d."""

from datetime import datetime

import msgspec
from msgspec.structs import astuple

from libs.contracts.raw_tick import RawTickFrame
from libs.domain.quotes import Quote
from libs.domain.rejections import Rejection
from libs.sources.entries import identify_entry
from libs.sources.rows import MISSING, quote_from, read_numbers, read_row
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


_row = msgspec.json.Decoder(CoinGeckoRow)
_FIRST = CoinGeckoRow.__struct_fields__.index("current_price")
_FIELDS = CoinGeckoRow.__struct_fields__[_FIRST:]


def identify(payload: bytes, fallback: datetime) -> RowIdentity | Rejection:
    """Name the listing. A coin without trades has no `last_updated`: then the fallback, when its content was first seen."""
    return identify_entry(payload, fallback)


def quote_of(frame: RawTickFrame) -> Quote | Rejection:
    """Read what the row says."""
    row = read_row(_row, bytes(frame.payload))
    if isinstance(row, Rejection):
        return row
    read = read_numbers(astuple(row)[_FIRST:], _FIELDS)
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
