"""Assets, listings and raw rows as the API shows them."""

from collections.abc import Mapping, Sequence
from datetime import datetime, timedelta
from typing import Any, Literal
from uuid import UUID

import msgspec
from pydantic import AwareDatetime, Field

from libs.domain.assets import COMPETES_WITHIN
from libs.domain.plausibility import AssetWarning
from libs.postgres.reading.rows import Row
from services.query.rendering import ATTRIBUTION, number, payload
from services.query.views.shapes import AttributionView, ListingView, Number, View

AMOUNTS = (
    "price_usd",
    "market_cap_usd",
    "volume_24h_usd",
    "percent_change_1h",
    "percent_change_24h",
    "percent_change_7d",
    "circulating_supply",
    "total_supply",
    "max_supply",
)


class AmountsView(View):
    """Money in US dollars, changes in per cent (4.2 is 4.2 %). Null: the provider does not say."""

    market_cap_rank: int | None
    price_usd: Number | None
    market_cap_usd: Number | None
    volume_24h_usd: Number | None
    percent_change_1h: Number | None
    percent_change_24h: Number | None
    percent_change_7d: Number | None
    circulating_supply: Number | None
    total_supply: Number | None
    max_supply: Number | None
    source_updated_at: AwareDatetime = Field(description="Event time: when the provider says the values were true")
    fetched_at: AwareDatetime = Field(description="Ingestion time: when we saw them")
    tick_id: UUID = Field(description="The content that the values came from")


class AssetView(AmountsView):
    """One canonical asset."""

    asset_uid: str
    symbol: str
    name: str
    version: int = Field(description="Grows with each change of this asset")
    source: str = Field(description="Source of the listing taken")
    taken: ListingView = Field(description="The listing whose values these are: the freshest that agrees with the anchor")
    anchor: ListingView = Field(description="The listing that names the asset")
    agreeing: list[ListingView] = Field(description="The listings found to be this asset, the anchor among them")
    listings_total: int = Field(description="All listings with this symbol, those of other assets included")
    price_spread_percent: Number | None = Field(
        description="(highest - lowest) / lowest price of the agreeing listings, per cent"
    )
    warnings: list[AssetWarning] = Field(description="What looks wrong about it, though it is shown")
    updated_at: AwareDatetime = Field(description="When this version was written")


class QuoteView(AmountsView):
    """What one listing says now."""

    source: str
    source_id: str
    symbol: str
    name: str
    run_id: UUID


class LoserView(QuoteView):
    """A listing with the same symbol that is not this asset, or no longer counts."""

    reason: Literal["stale", "other_asset"]
    explanation: str


class ListingsView(View):
    """Every listing of the asset_uid, divided by what became of it."""

    taken: QuoteView | None = Field(description="Null only for the moment in which its quote is being replaced")
    agreeing: list[QuoteView] = Field(description="The listings found to be this asset, the one taken among them")
    losers: list[LoserView]


class AssetDetailView(AssetView):
    """One canonical asset and what it was made from."""

    listings: ListingsView
    attribution: list[AttributionView]


class AssetPageView(View):
    """A page of assets."""

    data: list[AssetView]
    total: int = Field(description="Assets that fit the filters, on all pages")
    limit: int
    offset: int
    next_cursor: str | None = Field(description="Pass as `cursor` for the next page; null on the last one")
    attribution: list[AttributionView]
    as_of: AwareDatetime = Field(
        description="The moment that the page is of: nothing on it is older. At most a tenth of a second before it was asked "
        "for, or twenty times as long as a look at what has changed takes if that is more, two seconds at most"
    )


class CountView(View):
    """How many assets there are."""

    total: int
    source: str | None
    attribution: list[AttributionView]


class RawTickView(View):
    """One content of one listing, as the provider sent it."""

    record_id: int
    tick_id: UUID
    source_id: str
    asset_uid: str
    run_id: UUID
    fetched_at: AwareDatetime
    source_updated_at: AwareDatetime
    payload: dict[str, Any] = Field(description="The provider's own row; read its numbers as decimals")


class RawTickDetailView(RawTickView):
    """One raw row by itself."""

    source: str
    attribution: list[AttributionView]


class RawTickPageView(View):
    """A page of raw rows, newest first."""

    source: str
    data: list[RawTickView]
    limit: int
    offset: int
    next_cursor: str | None
    attribution: list[AttributionView]


def asset_body(row: Row) -> dict[str, Any]:
    """Return an AssetView's content."""
    return {
        "asset_uid": row["asset_uid"],
        "symbol": row["symbol"],
        "name": row["name"],
        "market_cap_rank": row["market_cap_rank"],
        **{name: number(row[name]) for name in AMOUNTS},
        "price_spread_percent": number(row["price_spread_percent"]),
        "source": row["source"],
        "taken": {"source": row["source"], "source_id": row["source_id"]},
        "anchor": {"source": row["anchor_source"], "source_id": row["anchor_source_id"]},
        "agreeing": msgspec.Raw(row["agreeing"].encode()),
        "listings_total": row["listings_total"],
        "warnings": row["warnings"],
        "source_updated_at": row["source_updated_at"],
        "fetched_at": row["fetched_at"],
        "updated_at": row["updated_at"],
        "version": row["version"],
        "tick_id": row["tick_id"],
    }


def asset_detail_body(rows: Sequence[Row]) -> dict[str, Any]:
    """Return an AssetDetailView's content from the asset joined with each of its quotes."""
    asset = rows[0]
    quotes = {(row["quote_source"], row["quote_source_id"]): _quote_body(row) for row in rows if row["quote_source"] is not None}
    agreed = {(ref["source"], ref["source_id"]) for ref in msgspec.json.decode(asset["agreeing"])}
    newest = max((quote["source_updated_at"] for quote in quotes.values()), default=asset["source_updated_at"])
    listings = {
        "taken": quotes.get((asset["source"], asset["source_id"])),
        "agreeing": [quote for listing, quote in quotes.items() if listing in agreed],
        "losers": [_loser_body(quote, newest) for listing, quote in quotes.items() if listing not in agreed],
    }
    return {**asset_body(asset), "listings": listings, "attribution": ATTRIBUTION}


def raw_tick_body(row: Row) -> dict[str, Any]:
    """Return a RawTickView's content."""
    return dict(row.items()) | {"payload": payload(row["payload"])}


_PLAIN = ("source", "source_id", "symbol", "name", "market_cap_rank", "source_updated_at", "fetched_at", "tick_id", "run_id")
_QUOTE_PLAIN = [(name, f"quote_{name}") for name in _PLAIN]
_QUOTE_AMOUNTS = [(name, f"quote_{name}") for name in AMOUNTS]


def _quote_body(row: Row) -> dict[str, Any]:
    body: dict[str, Any] = {name: row[column] for name, column in _QUOTE_PLAIN}
    for name, column in _QUOTE_AMOUNTS:
        body[name] = number(row[column])
    return body


def _loser_body(quote: Mapping[str, Any], newest: datetime) -> dict[str, Any]:
    age: timedelta = newest - quote["source_updated_at"]
    if age > COMPETES_WITHIN:
        reason = "stale"
        said = f"its quote is {age.days} days older than the newest of this symbol; after {COMPETES_WITHIN.days} it is history"
    else:
        reason = "other_asset"
        said = "another asset with the same symbol: neither its name nor its numbers fit the anchor best"
    return {**quote, "reason": reason, "explanation": said}
