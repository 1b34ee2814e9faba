"""What the peers read of a tick: with msgspec, which nothing beats in Python."""

from collections.abc import Iterable, Sequence
from datetime import datetime
from decimal import Decimal
from uuid import UUID

import msgspec


class Row(msgspec.Struct):
    """CoinGecko's row."""

    name: str
    symbol: str
    current_price: Decimal | None = None
    market_cap: Decimal | None = None
    total_volume: Decimal | None = None
    price_change_percentage_24h: Decimal | None = None
    circulating_supply: Decimal | None = None
    total_supply: Decimal | None = None
    max_supply: Decimal | None = None
    market_cap_rank: int | None = None


class Tick(msgspec.Struct):
    """A message of the raw topic."""

    tick_id: UUID
    source_id: str
    asset_uid: str
    run_id: UUID
    fetched_at: datetime
    source_updated_at: datetime
    payload: msgspec.Raw


TICK = msgspec.json.Decoder(Tick)
ROW = msgspec.json.Decoder(Row)


def newest_of_each(ticks: Iterable[Tick]) -> Sequence[tuple[Tick, Row]]:
    """Return the newest tick of each listing with its row, in key order, so that two writers cannot deadlock."""
    newest: dict[str, Tick] = {}
    for tick in ticks:
        held = newest.get(tick.source_id)
        if held is None or held.source_updated_at <= tick.source_updated_at:
            newest[tick.source_id] = tick
    return [(tick, ROW.decode(tick.payload)) for _, tick in sorted(newest.items())]


class FlatQuote(msgspec.Struct):
    """A message of the topic of quotes: named as the columns of the table, its attributes as a tick's and its row's."""

    source_id: str
    asset_uid: str
    symbol: str
    name: str
    current_price: Decimal | None = msgspec.field(name="price_usd")
    market_cap: Decimal | None = msgspec.field(name="market_cap_usd")
    total_volume: Decimal | None = msgspec.field(name="volume_24h_usd")
    price_change_percentage_24h: Decimal | None = msgspec.field(name="percent_change_24h")
    circulating_supply: Decimal | None
    total_supply: Decimal | None
    max_supply: Decimal | None
    market_cap_rank: int | None
    source_updated_at: datetime
    fetched_at: datetime
    tick_id: UUID
    run_id: UUID
    source: str = "coingecko"


FLAT_QUOTE = msgspec.json.Decoder(FlatQuote)
FLAT = msgspec.json.Encoder(decimal_format="number")
