"""What `kasparro watch` reads of an asset, and what it wants to see of all of them."""

from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal
from typing import Final

import msgspec

MOST_ROWS: Final = 500
"""The largest page of GET /data."""


class Listing(msgspec.Struct, frozen=True):
    """A provider's entry."""

    source: str
    source_id: str


class WatchedAsset(msgspec.Struct, frozen=True, kw_only=True):
    """A canonical asset, as GET /data and the stream both tell it. Money is in US dollars, changes and spread are per cent."""

    asset_uid: str
    version: int
    name: str
    market_cap_rank: int | None = None
    taken: Listing
    price_usd: Decimal | None = None
    market_cap_usd: Decimal | None = None
    volume_24h_usd: Decimal | None = None
    percent_change_1h: Decimal | None = None
    percent_change_24h: Decimal | None = None
    percent_change_7d: Decimal | None = None
    price_spread_percent: Decimal | None = None
    source_updated_at: datetime
    warnings: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Wish:
    """Which assets: those that are named, or the `top` by market-cap rank; of one source or of any."""

    uids: tuple[str, ...]
    top: int
    source: str | None


class Attribution(msgspec.Struct, frozen=True):
    """What a provider's terms ask to be shown near its data."""

    text: str
    url: str
