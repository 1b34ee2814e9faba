"""An asset's history as the API shows it: JSON with what surrounds the rows, CSV and NDJSON with the rows alone."""

import csv
import io
from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any, Final, NamedTuple
from uuid import UUID

import msgspec
from pydantic import AwareDatetime, Field

from libs.domain.candles import Span
from libs.domain.identity import Listing
from libs.postgres.reading.rows import Row
from services.query.rendering import ATTRIBUTION, JSON, encoded, number
from services.query.views.shapes import AttributionView, ListingView, Number, View

CSV: Final = "text/csv"
NDJSON: Final = "application/x-ndjson"
OTHER_MEDIA: Final[Mapping[str, str]] = {
    CSV: "A header, then a row a line; text that a spreadsheet would take for a formula begins with '",
    NDJSON: "An object a line",
}
MEDIA: Final = (JSON, *OTHER_MEDIA)
MOST_GAPS_IN_A_HEADER: Final = 50
"""Clients give a header 8 KB; `X-Gaps-Total` has how many there are."""

CANDLE: Final = ("started_at", "open", "high", "low", "close", "ticks")
TICK: Final = (
    "event_time",
    "fetched_at",
    "source",
    "source_id",
    "price_usd",
    "market_cap_usd",
    "volume_24h_usd",
    "tick_id",
)
FORMULA: Final = ("=", "+", "-", "@", "\t", "\r")
"""How a cell begins that a spreadsheet would reckon with."""


class CandleView(View):
    """The prices of a span of time, in US dollars."""

    started_at: AwareDatetime
    open: Number = Field(description="Of the earliest quote, by event time")
    high: Number
    low: Number
    close: Number = Field(description="Of the latest quote, by event time")
    ticks: int = Field(description="How many quotes there were")


class TickView(View):
    """What a listing said at one event time."""

    event_time: AwareDatetime
    fetched_at: AwareDatetime = Field(description="When we saw it, the last time if it was told again")
    source: str
    source_id: str
    price_usd: Number | None
    market_cap_usd: Number | None
    volume_24h_usd: Number | None
    tick_id: UUID


class SpanView(View):
    """From one moment up to another, which is not in it."""

    from_: AwareDatetime = Field(alias="from")
    to: AwareDatetime


class HistoryView(View):
    """A page of an asset's history, oldest first."""

    asset_uid: str
    interval: str
    from_: AwareDatetime = Field(alias="from")
    to: AwareDatetime
    source: str | None
    listings: list[ListingView] = Field(description="Those whose quotes these are")
    data: list[CandleView] | list[TickView]
    gaps: list[SpanView] = Field(description="Spans of this page without a candle, between others of the series; none with raw")
    next_cursor: str | None = Field(description="Pass as `cursor` for the next page; null on the last one")
    attribution: list[AttributionView]


class Page(NamedTuple):
    """What was found of what was asked for."""

    asset_uid: str
    interval: str
    span: Span
    source: str | None
    listings: Sequence[Listing]
    rows: Sequence[dict[str, Any]]
    gaps: Sequence[Span]
    next_cursor: str | None


def candle_body(row: Row) -> dict[str, Any]:
    """Return a CandleView's content."""
    prices = {name: number(row[name]) for name in ("open", "high", "low", "close")}
    return {"started_at": row["started_at"], **prices, "ticks": row["ticks"]}


def tick_body(row: Row) -> dict[str, Any]:
    """Return a TickView's content."""
    return {name: number(row[name]) if name.endswith("_usd") else row[name] for name in TICK}


def history_body(page: Page) -> dict[str, Any]:
    """Return a HistoryView's content."""
    return {
        "asset_uid": page.asset_uid,
        "interval": page.interval,
        "from": page.span.start,
        "to": page.span.end,
        "source": page.source,
        "listings": [listing._asdict() for listing in page.listings],
        "data": page.rows,
        "gaps": [{"from": gap.start, "to": gap.end} for gap in page.gaps],
        "next_cursor": page.next_cursor,
        "attribution": ATTRIBUTION,
    }


def rows_alone(page: Page, media: str) -> bytes:
    """Write the rows as CSV (RFC 4180) or as NDJSON."""
    if media == NDJSON:
        return b"".join(encoded(row) + b"\n" for row in page.rows)
    written = io.StringIO()
    lines = csv.writer(written)
    lines.writerow(TICK if page.interval == "raw" else CANDLE)
    lines.writerows([_cell(value) for value in row.values()] for row in page.rows)
    return written.getvalue().encode()


def gaps_header(page: Page) -> dict[str, str]:
    """Return the gaps as ISO 8601 intervals, as many as a header holds, and how many there are."""
    if not page.gaps:
        return {}
    shown = ", ".join(f"{_written(gap.start)}/{_written(gap.end)}" for gap in page.gaps[:MOST_GAPS_IN_A_HEADER])
    return {"X-Gaps": shown, "X-Gaps-Total": str(len(page.gaps))}


def _cell(value: object) -> str:
    """Write a value as JSON would; only text can be a formula, for prices are not negative."""
    match value:
        case None:
            return ""
        case msgspec.Raw():
            return str(value, "utf-8")
        case datetime():
            return _written(value)
        case str():
            return f"'{value}" if value.startswith(FORMULA) else value
        case _:
            return str(value)


def _written(moment: datetime) -> str:
    return moment.isoformat().replace("+00:00", "Z")
