"""Reading the history: the ticks of listings, and their candles, those of several listings merged into an asset's.

Candles of an hour are rows once the hour is over for its listing; that of its open hour (libs.postgres.writing.candles) is folded
from its ticks, that of a day from those of hours, that of a minute from ticks. Whatever they are folded from, the result is the
same: the earliest quote opens, the latest closes (libs.domain.quotes.freshness). Where two listings speak of one moment, the one
that is named first counts, as in an asset's values.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Final, NamedTuple
from uuid import UUID

import msgspec

from libs.domain.candles import Interval, Series, Span
from libs.domain.identity import Listing
from libs.postgres.pool import Connection
from libs.postgres.reading.open_hours import OF_THE_LISTING, OPEN_HOUR, of_the_open_hour
from libs.postgres.reading.rows import Row
from libs.sources.catalogue import PRIORITIES

# The primary keys serve each of these: for each listing one walk through the partitions of the time that is asked for.
_LISTINGS: Final = """
    unnest($1::text[], $2::text[]) WITH ORDINALITY AS listing (source, source_id, place)"""
_AS_CANDLES: Final = """
    SELECT event_time AS at, price_usd AS open, price_usd AS high, price_usd AS low, price_usd AS close, 1 AS ticks,
        event_time AS open_at, first_fetched_at AS open_fetched_at, tick_id AS open_tick_id,
        event_time AS close_at, fetched_at AS close_fetched_at, tick_id AS close_tick_id"""
_TICKS: Final = f"""{_AS_CANDLES}
    FROM quote_history
    WHERE {OF_THE_LISTING} AND price_usd IS NOT NULL AND event_time >= $3 AND event_time < $4"""
_HOURS: Final = f"""
    SELECT started_at AS at, open, high, low, close, ticks,
        open_at, open_fetched_at, open_tick_id, close_at, close_fetched_at, close_tick_id
    FROM candles_1h
    WHERE {OF_THE_LISTING} AND started_at >= $3 AND started_at < $4
    UNION ALL{_AS_CANDLES}
    FROM {of_the_open_hour("$3", "$4")}"""  # noqa: S608 - our own parts
_FOLDED: Final = """
    SELECT date_bin($5, at, '1970-01-01 00:00Z') AS started_at,
        trim_scale((array_agg(open ORDER BY open_at, place, open_fetched_at, open_tick_id))[1])::text AS open,
        trim_scale(max(high))::text AS high, trim_scale(min(low))::text AS low,
        trim_scale((array_agg(close ORDER BY close_at DESC, place, close_fetched_at DESC, close_tick_id DESC))[1])::text AS close,
        sum(ticks) AS ticks
    FROM {listings} CROSS JOIN LATERAL ({parts}) AS part
    GROUP BY 1 ORDER BY 1"""

# The next event from $3 on, and the last before it.
_AROUND: Final = """
    SELECT max({before}) AS before, min({behind}) AS behind
    FROM {listings}
    LEFT JOIN LATERAL (
        SELECT {at} AS before FROM {table} WHERE {of_the_listing} AND {at} < $3{priced} ORDER BY {at} DESC LIMIT 1
    ) AS earlier ON true
    LEFT JOIN LATERAL (
        SELECT {at} AS behind FROM {table} WHERE {of_the_listing} AND {at} >= $3{priced} ORDER BY {at} LIMIT 1
    ) AS later ON true{joined}"""
_AROUND_TICKS: Final = _AROUND.format(
    listings=_LISTINGS,
    of_the_listing=OF_THE_LISTING,
    table="quote_history",
    at="event_time",
    priced=" AND price_usd IS NOT NULL",
    before="before",
    behind="behind",
    joined="",
)
_AROUND_HOURS: Final = _AROUND.format(
    listings=_LISTINGS,
    of_the_listing=OF_THE_LISTING,
    table="candles_1h",
    at="started_at",
    priced="",
    before="greatest(before, CASE WHEN open_hour < $3 THEN open_hour END)",
    behind="least(behind, CASE WHEN open_hour >= $3 THEN open_hour END)",
    joined=f"""
    LEFT JOIN LATERAL ({OPEN_HOUR}) AS open ON true""",
)


class _Statements(NamedTuple):
    page: str
    around: str


_FROM_TICKS: Final = _Statements(_FOLDED.format(listings=_LISTINGS, parts=_TICKS), _AROUND_TICKS)
_FROM_HOURS: Final = _Statements(_FOLDED.format(listings=_LISTINGS, parts=_HOURS), _AROUND_HOURS)
STATEMENTS: Final[Mapping[Interval, _Statements]] = {
    Interval.MINUTE: _FROM_TICKS,
    Interval.FIVE_MINUTES: _FROM_TICKS,
    Interval.HOUR: _FROM_HOURS,
    Interval.DAY: _FROM_HOURS,
}


class _Asked(NamedTuple):
    sources: list[str]
    source_ids: list[str]


async def load_around(connection: Connection, listings: Sequence[Listing], interval: Interval, moment: datetime) -> Series:
    """Return when the last candle's event before a moment was, and the first one's from then on."""
    row = await connection.fetchrow(STATEMENTS[interval].around, *_columns(listings), moment)
    return Series(None, None) if row is None else Series(row["before"], row["behind"])


async def load_candles(connection: Connection, listings: Sequence[Listing], interval: Interval, span: Span) -> Sequence[Row]:
    """Return the candles that begin in a span, which begins and ends where candles do, oldest first; prices are text.

    The listings in their order of precedence.
    """
    return await connection.fetch(STATEMENTS[interval].page, *_columns(listings), span.start, span.end, interval.width)


@dataclass(frozen=True, slots=True)
class TicksWanted:
    """A page of ticks: the first ones of a span, or those behind a place in it."""

    span: Span
    limit: int
    after: "TickPlace | None" = None


class TickPlace(NamedTuple):
    """Where a page of ticks ended; a tick_id is of one listing alone."""

    event_time: datetime
    tick_id: UUID


_PAGE_OF_TICKS: Final = """
    SELECT tick.* FROM {listings} CROSS JOIN LATERAL (
        SELECT event_time, fetched_at, source, source_id, price_usd::text, market_cap_usd::text, volume_24h_usd::text, tick_id
        FROM quote_history
        WHERE {of_the_listing} AND event_time >= $3 AND event_time < $4{after}
        ORDER BY event_time, tick_id LIMIT $5
    ) AS tick
    ORDER BY event_time, tick_id LIMIT $5"""
FIRST_TICKS: Final = _PAGE_OF_TICKS.format(listings=_LISTINGS, of_the_listing=OF_THE_LISTING, after="")
NEXT_TICKS: Final = _PAGE_OF_TICKS.format(
    listings=_LISTINGS,
    of_the_listing=OF_THE_LISTING,
    after=" AND (event_time, tick_id) > ($3, $6)",
)


async def load_ticks(connection: Connection, listings: Sequence[Listing], wanted: TicksWanted) -> Sequence[Row]:
    """Return ticks of the listings by (event_time, tick_id); amounts are text."""
    columns, (start, end), after = _columns(listings), wanted.span, wanted.after
    if after is None:
        return await connection.fetch(FIRST_TICKS, *columns, start, end, wanted.limit)
    return await connection.fetch(NEXT_TICKS, *columns, after.event_time, end, wanted.limit, after.tick_id)


LISTINGS_OF_ASSET: Final = "SELECT agreeing FROM assets WHERE asset_uid = $1"
# Where none that agrees is of the source, the listing that would be the anchor among the source's own.
LISTING_OF_SOURCE: Final = """
    SELECT source, source_id FROM quotes WHERE asset_uid = $1 AND source = $2
    ORDER BY market_cap_rank NULLS LAST, market_cap_usd DESC NULLS LAST, source_id LIMIT 1"""


async def load_listings(connection: Connection, asset_uid: str, source: str | None) -> Sequence[Listing] | None:
    """Return the listings that agree with an asset now in their order of precedence, or the one of a source.

    None when there is no such asset; no listing when the source has none of its symbol.
    """
    agreeing = await connection.fetchval(LISTINGS_OF_ASSET, asset_uid)
    if agreeing is None:
        return None
    listings = [Listing(one["source"], one["source_id"]) for one in msgspec.json.decode(agreeing)]
    listings.sort(key=lambda listing: (PRIORITIES.get(listing.source, len(PRIORITIES)), listing))
    if source is None:
        return listings
    if of_source := [listing for listing in listings if listing.source == source]:
        return of_source
    return [Listing(*row) for row in await connection.fetch(LISTING_OF_SOURCE, asset_uid, source)]


def _columns(listings: Sequence[Listing]) -> _Asked:
    return _Asked([listing.source for listing in listings], [listing.source_id for listing in listings])
