"""What each listing said, by event time; how the incoming ticks get there, and which of them into the candles of an hour.

Every tick is here, also one that lost against a newer quote: late data lands where it belongs. A listing's open hour is its
ticks; the hour becomes a row when it is over, and what comes late is merged into that (libs.postgres.writing.candles). Candles
of other widths are folded from these two when somebody asks (libs.postgres.reading.history), exactly: merging is associative
and commutative, and so the order in which ticks come, and how often, changes nothing.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, date, datetime, timedelta
from typing import Final, NamedTuple

from libs.domain.candles import bucket_at
from libs.domain.quotes import Quote
from libs.postgres.hours import HOUR
from libs.postgres.pool import Connection
from libs.postgres.writing.candles import MERGE_ALL, MERGE_OVER, close_late
from libs.postgres.writing.partitions import CANDLES, TICKS, Partition, midnight, month_of

DAY: Final = timedelta(days=1)
NEVER_LATE: Final = DAY
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

# Ticks whose day is kept ($1: the first of these; $3, $4: where the days of the chunk's begin and end). Of those that are not of
# today or yesterday ($2) one may have come before, when its day was not kept, and is in its candle; with OFFSET they are looked
# up one by one, and not all late ticks at once.
_INSERT: Final = """
        INSERT INTO quote_history AS held (
            source, source_id, event_time, tick_id, first_fetched_at, fetched_at, price_usd, market_cap_usd, volume_24h_usd)
        SELECT source, source_id, event_time, tick_id, first_fetched_at, fetched_at, price_usd, market_cap_usd, volume_24h_usd
        FROM told"""
_KEEP: Final = f"""
    WITH told AS ({{told}}), kept AS ({_INSERT}
        WHERE event_time >= $2 OR NOT EXISTS (
            SELECT FROM late_ticks AS late WHERE late.source = told.source AND late.source_id = told.source_id
                AND late.event_time = told.event_time AND late.tick_id = told.tick_id
            OFFSET 0)
        ON CONFLICT (source, source_id, event_time, tick_id) DO UPDATE SET (first_fetched_at, fetched_at)
            = (least(held.first_fetched_at, excluded.first_fetched_at), greatest(held.fetched_at, excluded.fetched_at))
        WHERE excluded.first_fetched_at < held.first_fetched_at OR excluded.fetched_at > held.fetched_at
        RETURNING new.source, new.source_id, new.event_time, new.tick_id, new.first_fetched_at, new.fetched_at, new.price_usd,
            (old.tick_id IS NULL)::integer AS is_new
    ){MERGE_OVER}"""
KEEP: Final[Mapping[bool, str]] = {
    again: _KEEP.format(told=told.format(which="source_updated_at >= $1"))
    for again, told in ((False, _TOLD_ONCE), (True, _TOLD_AGAIN))
}
# Ticks of which none can be there yet, and none late, of hours without a row: nearly always, and half of the work (measured: 5.3
# us a tick of Postgres, and 12.1 for the other). One that is there after all is an error.
KEEP_NEW: Final = f"WITH told AS ({_TOLD_ONCE.format(which='true')}){_INSERT}"

# Ticks whose day is not kept ($1), but whose candle is ($2). One that is told again before its day is dropped is in its candle.
KEEP_LATE: Final = f"""
    WITH told AS ({_TOLD_AGAIN.format(which="source_updated_at < $1 AND source_updated_at >= $2")}), late AS (
        INSERT INTO late_ticks AS held (source, source_id, event_time, tick_id)
        SELECT source, source_id, event_time, tick_id FROM told
        ON CONFLICT (source, source_id, event_time, tick_id) DO UPDATE SET seen_at = excluded.seen_at
        RETURNING new.source, new.source_id, new.event_time, new.tick_id, (old.tick_id IS NULL)::integer AS is_new
    ), kept AS (
        SELECT source, source_id, event_time, tick_id, first_fetched_at, fetched_at, price_usd,
            CASE WHEN is_new = 1 AND NOT EXISTS (
                SELECT FROM quote_history AS held WHERE held.source = late.source AND held.source_id = late.source_id
                    AND held.event_time = late.event_time AND held.tick_id = late.tick_id
                OFFSET 0) THEN 1 ELSE 0 END AS is_new
        FROM told JOIN late USING (source, source_id, event_time, tick_id)
    ){MERGE_ALL}"""  # noqa: S608 - our own parts


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
    """The days that a chunk's ticks are of, sorted out; the hour, if they are of one; and how many listings they are of."""

    edges: Edges
    days: frozenset[date]
    hour: datetime | None
    listings: int

    @property
    def partitions(self) -> set[Partition]:
        """Where its rows go."""
        ticks = {Partition(TICKS, day) for day in self.days if day >= self.edges.ticks}
        return ticks | {Partition(CANDLES, month_of(day)) for day in self.days if day >= self.edges.candles}


def batch_of(quotes: Sequence[Quote], edges: Edges) -> Batch:
    """Sort the quotes' times out."""
    if not quotes:
        return Batch(edges, frozenset(), None, 0)
    times = [quote.source_updated_at for quote in quotes]
    hour = bucket_at(min(times).astimezone(UTC), HOUR)
    one_hour = max(times) < hour + HOUR
    days = {hour.date()} if one_hour else {time.astimezone(UTC).date() for time in times}
    return Batch(edges, frozenset(days), hour if one_hour else None, len({quote.source_id for quote in quotes}))


async def keep(connection: Connection, batch: Batch, *, again: bool, new: bool = False) -> None:
    """Store the incoming ticks, and merge those of hours that have a row, or are over, into their candles.

    `again`: a content may be among them more than once. `new`: none is, none has come before, and all are of one hour of today or
    yesterday that their listings are in and that has no row; raises UniqueViolationError if one has come. Behind
    quotes.upsert_newest in a transaction, which keeps others away from these listings, and behind candles.close of the hours that
    it moved them from. Their partitions must be there.
    """
    ticks, candles, never_late = map(midnight, batch.edges)
    if kept := [day for day in batch.days if day >= batch.edges.ticks]:
        if new:
            await connection.execute(KEEP_NEW)
        else:
            await connection.execute(KEEP[again], ticks, never_late, midnight(min(kept)), midnight(max(kept)) + DAY)
    if any(batch.edges.candles <= day < batch.edges.ticks for day in batch.days):
        await close_late(connection, candles, ticks)
        await connection.execute(KEEP_LATE, ticks, candles)
