"""GET /data/{asset_uid}/history: what an asset's listings said, tick by tick or in candles."""

from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from typing import Annotated, Final, Literal, NamedTuple
from uuid import UUID

from aiohttp import web
from pydantic import Field

from libs.domain.candles import Interval, Series, Span, bucket_at, gaps_between, next_bucket
from libs.domain.identity import Listing
from libs.postgres.pool import Connection
from libs.postgres.reading.acquiring import reading
from libs.postgres.reading.history import TickPlace, TicksWanted, load_around, load_candles, load_listings, load_ticks
from services.query.cursors import decode_cursor, encode_cursor, page_of, read_moment
from services.query.endpoints import Parameters
from services.query.keys import CLOCK, READERS
from services.query.negotiation import preferred
from services.query.parameters import EARLIEST, LATEST, WHOLE, CursorText, Moment, SourceFilter, Symbol
from services.query.problems import AssetNotFoundError, InvalidCursorError, InvalidParameterError
from services.query.rendering import JSON, Answer
from services.query.views.history import MEDIA, Page, candle_body, gaps_header, history_body, rows_alone, tick_body

LARGEST_HISTORY_PAGE: Final = 5_000
RAW: Final = "raw"
USUAL_SPANS: Final = {
    RAW: timedelta(days=1),
    Interval.MINUTE: timedelta(hours=12),
    Interval.FIVE_MINUTES: timedelta(days=3),
    Interval.HOUR: timedelta(days=30),
    Interval.DAY: timedelta(days=730),
}
"""How far back `from` goes by itself: what fits a page."""


class HistoryAsked(Parameters):
    """A page of an asset's history."""

    asset_uid: Symbol
    interval: Literal["raw", "1m", "5m", "1h", "1d"] = Field("1h", description="`raw`: every tick; else candles of this width")
    from_: Moment | None = Field(None, alias="from")
    to: Moment | None = None
    source: SourceFilter | None = Field(None, description="This source's listing alone, whether it agrees or not")
    limit: Annotated[int, Field(description="Most rows of a page", ge=1, le=LARGEST_HISTORY_PAGE), WHOLE] = 1_000
    cursor: CursorText | None = None


class _Found(NamedTuple):
    rows: Sequence[dict[str, object]]
    gaps: Sequence[Span]
    next_cursor: str | None


async def get_history(request: web.Request, asked: HistoryAsked) -> Answer:
    """Return a page of ticks or candles, oldest first."""
    span = _span(asked, request.app[CLOCK].utc())
    async with reading(request.app[READERS]) as connection:
        listings = await load_listings(connection, asked.asset_uid, asked.source)
        if listings is None:
            raise AssetNotFoundError(f"there is no asset {asked.asset_uid!r}", asset_uid=asked.asset_uid)
        find = _ticks if asked.interval == RAW else _candles
        found = await find(connection, asked, listings, span)
    page = Page(asked.asset_uid, asked.interval, span, asked.source, listings, *found)
    media = preferred(request.headers.get("Accept", ""), MEDIA)
    headers = {"Vary": "Accept"}
    if media == JSON:
        return Answer(history_body(page), headers=headers)
    if page.next_cursor is not None:
        headers["Link"] = f'<{request.rel_url.update_query(cursor=page.next_cursor)}>; rel="next"'
    return Answer(rows_alone(page, media), headers=headers | gaps_header(page), media=media)


async def _candles(connection: Connection, asked: HistoryAsked, listings: Sequence[Listing], span: Span) -> _Found:
    """A page covers so many candles of time, from the first that there is: what it costs does not hang on what is missing."""
    interval = Interval(asked.interval)
    width = interval.width
    start, end = next_bucket(_begin(asked, span), width), next_bucket(span.end, width)
    around = await load_around(connection, listings, interval, start)
    if around.behind is None or around.behind >= end:
        return _Found([], gaps_between(Span(start, end), [], width, around), None)
    first = bucket_at(around.behind, width)
    stop = min(end, first + asked.limit * width)
    rows = await load_candles(connection, listings, interval, Span(first, stop))
    starts = [row["started_at"] for row in rows]
    behind = (await load_around(connection, listings, interval, stop)).behind
    is_last = behind is None or behind >= end
    # Without a row here, what was found at first has been dropped since: go on behind where it was.
    page_end = end if is_last else starts[-1] + width if starts else stop
    gaps = gaps_between(Span(start, page_end), starts, width, Series(around.before, behind))
    return _Found([candle_body(row) for row in rows], gaps, None if is_last else encode_cursor(_bound_to(asked), page_end, ""))


async def _ticks(connection: Connection, asked: HistoryAsked, listings: Sequence[Listing], span: Span) -> _Found:
    after = None
    if asked.cursor is not None:
        at, key = decode_cursor(asked.cursor, _bound_to(asked), _read_position)
        after = TickPlace(at, _tick_id(key))
    found = await load_ticks(connection, listings, TicksWanted(span, asked.limit + 1, after))
    rows, end = page_of(found, asked.limit)
    next_cursor = None if end is None else encode_cursor(_bound_to(asked), end["event_time"], str(end["tick_id"]))
    return _Found([tick_body(row) for row in rows], [], next_cursor)


def _span(asked: HistoryAsked, now: datetime) -> Span:
    """Return what is asked for, without `to` up to the end of the present candle: so an answer is the same while it lasts."""
    width = timedelta(minutes=1) if asked.interval == RAW else Interval(asked.interval).width
    end = asked.to or bucket_at(now, width) + width
    start = asked.from_ or max(EARLIEST, end - USUAL_SPANS[asked.interval])
    if start >= end:
        raise InvalidParameterError("to: must be later than from", parameter="to")
    return Span(start.astimezone(UTC), end.astimezone(UTC))


def _begin(asked: HistoryAsked, span: Span) -> datetime:
    return span.start if asked.cursor is None else decode_cursor(asked.cursor, _bound_to(asked), _read_position)[0]


def _bound_to(asked: HistoryAsked) -> str:
    """Name the list; the bounds as they were asked for, because those that nobody asked for move on with time."""
    bounds = ":".join("" if one is None else f"{one.timestamp():.6f}" for one in (asked.from_, asked.to))
    return f"history:{asked.asset_uid}:{asked.interval}:{asked.source or ''}:{bounds}"


def _read_position(value: str | None) -> datetime:
    position = read_moment(value)
    if not EARLIEST <= position <= LATEST:
        raise ValueError(value)
    return position


def _tick_id(key: str) -> UUID:
    try:
        return UUID(key)
    except ValueError:
        raise InvalidCursorError("cursor: not one that this API has given out", parameter="cursor") from None
