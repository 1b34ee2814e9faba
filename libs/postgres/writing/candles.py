"""Candles of an hour as rows: made once, from the ticks of the history, when the hour is over for its listing.

The hour of a listing's newest quote is its open one. Of that there is no row while its ticks are there: whoever asks folds them
(libs.postgres.reading.history). True at every commit, and whoever writes quotes, ticks or candles keeps it so:

1. A row has every priced tick of its hour that ever counted, each once.
2. Where there is no row, every priced tick of the hour is in `quote_history`.
3. Where there is no row for an hour of which priced ticks are in `quote_history`, it is the open hour of its listing.

So a listing whose quote moves on closes the hour that it leaves; a day of ticks is not dropped, nor a quote deleted, before the
open hour is closed. A row that an open hour has nevertheless (a late tick, a rebuild, an older version made it) is whole, and
the ticks that follow are merged into it.
"""

from collections.abc import Iterable, Sequence
from datetime import date, datetime, timedelta
from typing import Final, NamedTuple

from libs.postgres.hours import HOUR, hour_of
from libs.postgres.pool import Connection
from libs.postgres.writing.partitions import CANDLES, Partition, midnight, month_of

# The least and the greatest of rows are records without a type, those of arrays are arrays. Prices are written without the
# zeros at their end: which of two that are equal was the higher would hang on which came first.
_ENDS: Final = """
            (min(ARRAY[ROW(event_time, first_fetched_at, tick_id, price_usd)::candle_end]))[1] AS opened,
            (max(ARRAY[ROW(event_time, fetched_at, tick_id, price_usd)::candle_end]))[1] AS closed,
            max(price_usd) AS high, min(price_usd) AS low"""
_INSERT: Final = """
    INSERT INTO candles_1h AS held (
        source, source_id, started_at, open, high, low, close, ticks,
        open_at, open_fetched_at, open_tick_id, close_at, close_fetched_at, close_tick_id)
    SELECT source, source_id, started_at, trim_scale((opened).price), trim_scale(high), trim_scale(low),
        trim_scale((closed).price), ticks, (opened).event_time, (opened).fetched_at, (opened).tick_id,
        (closed).event_time, (closed).fetched_at, (closed).tick_id
    FROM ({made}) AS made
    ON CONFLICT (source, source_id, started_at) {met}"""

# Whatever the tellings of a candle's ticks, in any order: the same row. Only ticks that are new count. Who gets here holds the
# quotes of these listings (quotes.UPSERT_NEWEST locks a row also when it leaves it as it is), so no two of us meet at a candle.
_MERGE: Final = _INSERT.format(
    made=f"""
        SELECT source, source_id, {hour_of("event_time")} AS started_at, {_ENDS}, sum(is_new)::integer AS ticks
        FROM kept WHERE price_usd IS NOT NULL{{and_which}}
        GROUP BY source, source_id, started_at
    """,  # noqa: S608 - our own parts
    met="""DO UPDATE SET
        high = greatest(held.high, excluded.high),
        low = least(held.low, excluded.low),
        ticks = held.ticks + excluded.ticks,
        open = CASE WHEN {opens} THEN excluded.open ELSE held.open END,
        open_at = CASE WHEN {opens} THEN excluded.open_at ELSE held.open_at END,
        open_fetched_at = CASE WHEN {opens} THEN excluded.open_fetched_at ELSE held.open_fetched_at END,
        open_tick_id = CASE WHEN {opens} THEN excluded.open_tick_id ELSE held.open_tick_id END,
        close = CASE WHEN {closes} THEN excluded.close ELSE held.close END,
        close_at = CASE WHEN {closes} THEN excluded.close_at ELSE held.close_at END,
        close_fetched_at = CASE WHEN {closes} THEN excluded.close_fetched_at ELSE held.close_fetched_at END,
        close_tick_id = CASE WHEN {closes} THEN excluded.close_tick_id ELSE held.close_tick_id END
    WHERE excluded.ticks > 0 OR {opens} OR {closes}""".format(
        opens="(excluded.open_at, excluded.open_fetched_at, excluded.open_tick_id)"
        " < (held.open_at, held.open_fetched_at, held.open_tick_id)",
        closes="(excluded.close_at, excluded.close_fetched_at, excluded.close_tick_id)"
        " > (held.close_at, held.close_fetched_at, held.close_tick_id)",
    ),
)

# Ticks of hours that are over, and of those that have a row. Of the others nothing is written but the tick. An hour that is over
# and has no row had no priced tick before: the one that was left by this very chunk has just been closed. One look at a key
# each: the planner, who has no statistics of a table that has just been filled, would join. $3 and $4 are from where to where
# hours can be, so that no partition is opened in vain.
_OVER_OR_THERE: Final = f""" AND (
            EXISTS (
                SELECT FROM quotes AS newest
                WHERE newest.source = kept.source COLLATE "default" AND newest.source_id = kept.source_id COLLATE "default"
                    AND newest.source_updated_at >= {hour_of("kept.event_time")} + interval '1 hour'
                OFFSET 0)
            OR EXISTS (
                SELECT FROM candles_1h AS there
                WHERE there.source = kept.source AND there.source_id = kept.source_id
                    AND there.started_at = {hour_of("kept.event_time")} AND there.started_at >= $3 AND there.started_at < $4
                OFFSET 0))"""  # noqa: S608 - our own parts
MERGE_ALL: Final = _MERGE.format(and_which="")
"""What was told, `kept`, with `is_new` 1 for a tick and 0 for one that is told again, into the candles."""
MERGE_OVER: Final = _MERGE.format(and_which=_OVER_OR_THERE)
"""The same, but for the open hours that have no row."""

# A row that is there is whole, and has as many ticks as there are, or more: late ones. Fewer are in one that a version made which
# knew of no open hours, beside this one or after it, of the tick that it had (docs/operations.md): it is made anew. The key of
# quote_history serves: for each hour one walk through its partition.
_CLOSE: Final = _INSERT.format(
    made=f"""
        SELECT hour.source, hour.source_id, hour.started_at, folded.*
        FROM {{hours}} CROSS JOIN LATERAL (
            SELECT {_ENDS}, count(*)::integer AS ticks
            FROM quote_history
            WHERE source = hour.source COLLATE "C" AND source_id = hour.source_id COLLATE "C"
                AND event_time >= hour.started_at AND event_time < hour.started_at + interval '1 hour'{{within}}
                AND price_usd IS NOT NULL
            HAVING count(*) > 0
        ) AS folded
    """,  # noqa: S608 - our own parts
    met="""DO UPDATE SET (
        open, high, low, close, ticks, open_at, open_fetched_at, open_tick_id, close_at, close_fetched_at, close_tick_id
    ) = (
        excluded.open, excluded.high, excluded.low, excluded.close, excluded.ticks, excluded.open_at, excluded.open_fetched_at,
        excluded.open_tick_id, excluded.close_at, excluded.close_fetched_at, excluded.close_tick_id)
    WHERE held.ticks < excluded.ticks""",
)
_OPEN: Final = f"""(
            SELECT source, source_id, {hour_of("source_updated_at")} AS started_at FROM quotes WHERE {{which}}
            ORDER BY source, source_id
        ) AS hour"""  # noqa: S608 - our own parts
# Within what time the hours are: most partitions are then not even opened.
_WITHIN: Final = " AND event_time >= $1 AND event_time < $2"
CLOSE: Final = _CLOSE.format(
    hours="unnest($3::text[], $4::text[], $5::timestamptz[]) AS hour (source, source_id, started_at)", within=_WITHIN
)
CLOSE_LATE: Final = _CLOSE.format(
    hours=f"""(
            SELECT DISTINCT source, source_id, {hour_of("source_updated_at")} AS started_at FROM incoming_ticks
            WHERE source_updated_at >= $1 AND source_updated_at < $2
        ) AS hour""",  # noqa: S608 - our own parts
    within=_WITHIN,
)
CLOSE_DAY: Final = _CLOSE.format(hours=_OPEN.format(which="source_updated_at >= $1 AND source_updated_at < $2"), within=_WITHIN)
CLOSE_SOURCES: Final = _CLOSE.format(hours=_OPEN.format(which="source = ANY($1::text[])"), within="")


class ListingHour(NamedTuple):
    """An hour of a listing."""

    source: str
    source_id: str
    started_at: datetime

    @property
    def partition(self) -> Partition:
        """Where its row is."""
        return Partition(CANDLES, month_of(self.started_at.date()))


async def close(connection: Connection, hours: Sequence[ListingHour]) -> None:
    """Make the rows of hours that are over, of the ticks that are there. Their partitions must be there.

    Behind quotes.upsert_newest in a transaction, which keeps others away from these listings, and before the chunk's own ticks
    are kept: those are merged.
    """
    if hours:
        sources, source_ids, starts = zip(*hours, strict=True)
        await connection.execute(CLOSE, min(starts), max(starts) + HOUR, sources, source_ids, starts)


async def close_late(connection: Connection, start: datetime, end: datetime) -> None:
    """Make the rows of the incoming ticks' hours within a time: a late tick is not among those that an hour is folded from."""
    await connection.execute(CLOSE_LATE, start, end)


async def close_day(connection: Connection, day: date) -> None:
    """Make the rows of the hours that are open since a day, whose ticks are about to go: their listings have been silent."""
    await connection.execute(CLOSE_DAY, midnight(day), midnight(day) + timedelta(days=1))


async def close_sources(connection: Connection, sources: Iterable[str]) -> None:
    """Make the rows of all open hours of sources, whose quotes are about to go."""
    await connection.execute(CLOSE_SOURCES, list(sources))
