"""What each listing said, by event time, and its candles of an hour; how the incoming ticks get there.

Every tick is here, also one that lost against a newer quote: late data lands where it belongs. Candles of other widths are
folded from these two when somebody asks (libs.postgres.reading.history), exactly: merging is associative and commutative,
and so the order in which ticks come, and how often, changes nothing.
"""

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from datetime import UTC, date, datetime, time, timedelta
from typing import Final, NamedTuple

from libs.domain.quotes import Quote
from libs.postgres.pool import Connection
from libs.postgres.writing.partitions import CANDLES, TICKS, Partition, month_of

NEVER_LATE: Final = timedelta(days=1)
"""Younger than the shortest time that ticks can be kept for."""

_AMOUNTS: Final = ("price_usd", "market_cap_usd", "volume_24h_usd")
_TOLD_ONCE: Final = """
    SELECT source COLLATE "C" AS source, source_id COLLATE "C" AS source_id, source_updated_at AS event_time, tick_id,
        fetched_at AS first_fetched_at, fetched_at, {amounts}
    FROM incoming_ticks WHERE {which}""".replace("{amounts}", ", ".join(f"{name}::numeric AS {name}" for name in _AMOUNTS))
# A content that comes twice in a chunk is one row: Postgres refuses to touch a row twice. What it says is the same each time.
# Seldom, and to look for it takes a tenth of the statement's time: the caller knows.
_TOLD_AGAIN: Final = """
    SELECT source COLLATE "C" AS source, source_id COLLATE "C" AS source_id, source_updated_at AS event_time, tick_id,
        min(fetched_at) AS first_fetched_at, max(fetched_at) AS fetched_at, {amounts}
    FROM incoming_ticks WHERE {which}
    GROUP BY source, source_id, source_updated_at, tick_id""".replace(
    "{amounts}", ", ".join(f"any_value({name})::numeric AS {name}" for name in _AMOUNTS)
)

# Whatever the tellings of a candle's ticks, in any order: the same row. Only ticks that are new count. Who gets here holds the
# quotes of these listings (quotes.UPSERT_NEWEST locks a row also when it leaves it as it is), so no two of us meet at a candle.
# The least and the greatest of rows are records without a type, those of arrays are arrays. Prices are written without the
# zeros at their end: which of two that are equal was the higher would hang on which came first.
_MERGE: Final = """
    INSERT INTO candles_1h AS held (
        source, source_id, started_at, open, high, low, close, ticks,
        open_at, open_fetched_at, open_tick_id, close_at, close_fetched_at, close_tick_id)
    SELECT source, source_id, started_at, trim_scale((opened).price), trim_scale(high), trim_scale(low),
        trim_scale((closed).price), ticks, (opened).event_time, (opened).fetched_at, (opened).tick_id,
        (closed).event_time, (closed).fetched_at, (closed).tick_id
    FROM (
        SELECT source, source_id, date_bin('1 hour', event_time, '1970-01-01 00:00Z') AS started_at,
            (min(ARRAY[ROW(event_time, first_fetched_at, tick_id, price_usd)::candle_end]))[1] AS opened,
            (max(ARRAY[ROW(event_time, fetched_at, tick_id, price_usd)::candle_end]))[1] AS closed,
            max(price_usd) AS high, min(price_usd) AS low, sum(is_new)::integer AS ticks
        FROM kept WHERE price_usd IS NOT NULL
        GROUP BY source, source_id, started_at
    ) AS made
    ON CONFLICT (source, source_id, started_at) DO UPDATE SET
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
    WHERE excluded.ticks > 0 OR {opens} OR {closes}""".format(  # noqa: S608 - our own parts
    opens="(excluded.open_at, excluded.open_fetched_at, excluded.open_tick_id)"
    " < (held.open_at, held.open_fetched_at, held.open_tick_id)",
    closes="(excluded.close_at, excluded.close_fetched_at, excluded.close_tick_id)"
    " > (held.close_at, held.close_fetched_at, held.close_tick_id)",
)

# Ticks whose day is kept ($1: the first of these). Of those that are not of today or yesterday ($2) one may have come before,
# when its day was not kept, and is in its candle; with OFFSET they are looked up one by one, and not all late ticks at once.
_KEEP: Final = f"""
    WITH told AS ({{told}}), kept AS (
        INSERT INTO quote_history AS held (
            source, source_id, event_time, tick_id, first_fetched_at, fetched_at, price_usd, market_cap_usd, volume_24h_usd)
        SELECT source, source_id, event_time, tick_id, first_fetched_at, fetched_at, price_usd, market_cap_usd, volume_24h_usd
        FROM told
        WHERE event_time >= $2 OR NOT EXISTS (
            SELECT FROM late_ticks AS late WHERE late.source = told.source AND late.source_id = told.source_id
                AND late.event_time = told.event_time AND late.tick_id = told.tick_id
            OFFSET 0)
        ON CONFLICT (source, source_id, event_time, tick_id) DO UPDATE SET (first_fetched_at, fetched_at)
            = (least(held.first_fetched_at, excluded.first_fetched_at), greatest(held.fetched_at, excluded.fetched_at))
        WHERE excluded.first_fetched_at < held.first_fetched_at OR excluded.fetched_at > held.fetched_at
        RETURNING new.source, new.source_id, new.event_time, new.tick_id, new.first_fetched_at, new.fetched_at, new.price_usd,
            (old.tick_id IS NULL)::integer AS is_new
    ){_MERGE}"""  # noqa: S608 - our own parts
KEEP: Final[Mapping[bool, str]] = {
    again: _KEEP.format(told=told.format(which="source_updated_at >= $1"))
    for again, told in ((False, _TOLD_ONCE), (True, _TOLD_AGAIN))
}

# Ticks whose day is not kept ($1), but whose candle is ($2).
KEEP_LATE: Final = f"""
    WITH told AS ({_TOLD_AGAIN.format(which="source_updated_at < $1 AND source_updated_at >= $2")}), late AS (
        INSERT INTO late_ticks AS held (source, source_id, event_time, tick_id)
        SELECT source, source_id, event_time, tick_id FROM told
        ON CONFLICT (source, source_id, event_time, tick_id) DO UPDATE SET seen_at = excluded.seen_at
        RETURNING new.source, new.source_id, new.event_time, new.tick_id, (old.tick_id IS NULL)::integer AS is_new
    ), kept AS (
        SELECT * FROM told JOIN late USING (source, source_id, event_time, tick_id)
    ){_MERGE}"""  # noqa: S608 - our own parts


class Edges(NamedTuple):
    """The first day of which ticks are kept, the first of which candles are, and the last of which no tick can be late."""

    ticks: date
    candles: date
    never_late: date


@dataclass(frozen=True, slots=True)
class History:
    """For how long ticks and candles are kept, by event time; `candles_for` None: for ever."""

    utc: Callable[[], datetime]
    """What a writer takes for now."""
    ticks_for: timedelta
    candles_for: timedelta | None
    there: set[Partition] = field(default_factory=set)
    """The partitions that this process knows of."""

    def edges(self, now: datetime) -> Edges:
        """Return where keeping begins at a moment, by its day in UTC."""
        candles = date.min if self.candles_for is None else (now - self.candles_for).date()
        return Edges((now - self.ticks_for).date(), candles, (now - NEVER_LATE).date())


class Batch(NamedTuple):
    """The days that a chunk's ticks are of, sorted out."""

    edges: Edges
    days: frozenset[date]

    @property
    def partitions(self) -> set[Partition]:
        """Where its rows go."""
        ticks = {Partition(TICKS, day) for day in self.days if day >= self.edges.ticks}
        return ticks | {Partition(CANDLES, month_of(day)) for day in self.days if day >= self.edges.candles}


def batch_of(quotes: Iterable[Quote], edges: Edges) -> Batch:
    """Sort the quotes' days out."""
    return Batch(edges, frozenset({quote.source_updated_at.astimezone(UTC).date() for quote in quotes}))


async def keep(connection: Connection, batch: Batch, *, again: bool) -> None:
    """Store the incoming ticks and merge them into their candles. Their partitions must be there.

    `again`: a content may be among them more than once. Behind quotes.upsert_newest in a transaction, which keeps others away
    from these listings.
    """
    ticks, candles, never_late = map(_midnight, batch.edges)
    if any(day >= batch.edges.ticks for day in batch.days):
        await connection.execute(KEEP[again], ticks, never_late)
    if any(batch.edges.candles <= day < batch.edges.ticks for day in batch.days):
        await connection.execute(KEEP_LATE, ticks, candles)


def _midnight(day: date) -> datetime:
    return datetime.combine(day, time(), UTC)
