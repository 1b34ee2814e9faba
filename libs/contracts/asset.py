"""Asset: the canonical row of an asset_uid. The value of assets.normalized; a tombstone (no value) means it is gone."""

import json
from collections.abc import Sequence
from datetime import datetime
from decimal import Decimal
from typing import Annotated, Any, Self
from uuid import UUID

import msgspec
from pydantic import AwareDatetime, BaseModel, ConfigDict, Field, WithJsonSchema

from libs.domain import assets as domain
from libs.domain.plausibility import AssetWarning

Number = Annotated[Decimal, WithJsonSchema({"type": "number"})]
"""A JSON number with every digit: read it as a decimal, a binary float would round it."""


class ListingRef(BaseModel):
    """A provider's entry."""

    model_config = ConfigDict(frozen=True, extra="ignore")

    source: str
    source_id: str


class Asset(BaseModel):
    """What the quotes of one asset_uid add up to. Money is in US dollars, changes and spread are per cent."""

    model_config = ConfigDict(frozen=True, extra="ignore")

    asset_uid: str = Field(min_length=1, max_length=64)
    version: int = Field(description="Grows with each change of this asset; keep the highest you have seen", ge=1)
    symbol: str
    name: str
    market_cap_rank: int | None = None
    anchor: ListingRef = Field(description="The listing that names the asset")
    taken: ListingRef = Field(description="The listing whose values these are: the freshest that agrees with the anchor")
    agreeing: tuple[ListingRef, ...] = Field(description="The listings found to be this asset, the anchor among them")
    listings_total: int = Field(description="All listings of this asset_uid, the losers included", ge=1)
    price_usd: Number | None = None
    market_cap_usd: Number | None = None
    volume_24h_usd: Number | None = None
    percent_change_1h: Number | None = None
    percent_change_24h: Number | None = None
    percent_change_7d: Number | None = None
    circulating_supply: Number | None = None
    total_supply: Number | None = None
    max_supply: Number | None = None
    price_spread_percent: Number | None = None
    source_updated_at: AwareDatetime = Field(description="Event time of the values")
    fetched_at: AwareDatetime
    tick_id: UUID = Field(description="The tick that the values came from")
    warnings: tuple[str, ...] = Field(
        (), description=f"What looks wrong about it, though it is shown: {', '.join(AssetWarning)}; take one that you do not know"
    )

    @classmethod
    def decode(cls, value: bytes) -> Self:
        """Read a message with its digits kept."""
        return cls.model_validate(json.loads(value, parse_float=Decimal))


class _ListingFrame(msgspec.Struct, frozen=True):
    source: str
    source_id: str


class _AssetFrame(msgspec.Struct, frozen=True):
    """The message for the hot path, in the order of `Asset`'s fields but for the version. A test holds it to `Asset`."""

    asset_uid: str
    symbol: str
    name: str
    market_cap_rank: int | None
    anchor: _ListingFrame
    taken: _ListingFrame
    agreeing: Sequence[_ListingFrame]
    listings_total: int
    price_usd: msgspec.Raw
    """With all that follows it up to the spread, by name: a field each takes half as long again."""
    source_updated_at: datetime
    fetched_at: datetime
    tick_id: UUID
    warnings: tuple[str, ...]
    version: int


_encoder = msgspec.json.Encoder()
_PRICE = domain.Asset._fields.index("price_usd")
_SPREAD_END = domain.Asset._fields.index("price_spread_percent") + 1


def encode_asset(asset: domain.Asset, version: int) -> bytes:
    """Return the message's bytes, numbers as JSON numbers with every digit."""
    anchor = _ListingFrame(*asset.anchor)
    alone = len(asset.agreeing) == 1  # nearly always: then it is the anchor, and the one taken
    taken = anchor if alone else _ListingFrame(*asset.taken)
    agreeing = (anchor,) if alone else [_ListingFrame(*listing) for listing in asset.agreeing]
    numbers = msgspec.Raw(_numbers(asset[_PRICE:_SPREAD_END]))
    fields: tuple[Any, ...] = (*asset[:4], anchor, taken, agreeing, asset.listings_total, numbers, *asset[_SPREAD_END:], version)
    return _encoder.encode(_AssetFrame(*fields))


def _numbers(said: tuple[Any, ...]) -> str:
    """Write them out, from the price on, whose name is written already."""
    price, cap, volume, hour, day, week, circulating, total, largest, spread = said
    none = "null"
    return (
        f'{price or none},"market_cap_usd":{cap or none},"volume_24h_usd":{volume or none},'
        f'"percent_change_1h":{hour or none},"percent_change_24h":{day or none},"percent_change_7d":{week or none},'
        f'"circulating_supply":{circulating or none},"total_supply":{total or none},"max_supply":{largest or none},'
        f'"price_spread_percent":{spread or none}'
    )
