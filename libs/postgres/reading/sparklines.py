"""Reading the last prices of many assets, bucket by bucket: what a line of each is drawn of.

The same closes as those of candles (libs.postgres.reading.history), without what else a candle has.
"""

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Final

from libs.domain.candles import Interval, Span
from libs.postgres.pool import Connection
from libs.postgres.reading.open_hours import OF_THE_LISTING, of_the_open_hour
from libs.postgres.reading.rows import Row
from libs.sources.catalogue import PRIORITIES

# The primary keys serve each: for each listing one walk through the partitions of the time that is asked for.
_AS_CLOSES: Final = """
    SELECT event_time AS at, price_usd AS close, fetched_at, tick_id"""
_OF_TICKS: Final = f"""{_AS_CLOSES}
    FROM quote_history WHERE {OF_THE_LISTING} AND price_usd IS NOT NULL AND event_time >= $2 AND event_time < $3"""
_OF_HOURS: Final = f"""
    SELECT close_at AS at, close, close_fetched_at AS fetched_at, close_tick_id AS tick_id FROM candles_1h
    WHERE {OF_THE_LISTING} AND started_at >= $2 AND started_at < $3
    UNION ALL{_AS_CLOSES}
    FROM {of_the_open_hour("$2", "$3")}"""  # noqa: S608 - our own parts
_CLOSES: Final = """
    SELECT DISTINCT ON (asset_uid, started_at)
        asset_uid, date_bin($4, part.at, $2) AS started_at, trim_scale(part.close)::text AS close
    FROM assets
    CROSS JOIN LATERAL jsonb_to_recordset(agreeing) AS listing (source text, source_id text)
    CROSS JOIN LATERAL ({parts}) AS part
    WHERE asset_uid = ANY($1)
    ORDER BY asset_uid, started_at,
        part.at DESC, array_position($5::text[], listing.source), part.fetched_at DESC, part.tick_id DESC"""
STATEMENTS: Final[Mapping[Interval, str]] = {
    Interval.MINUTE: _CLOSES.format(parts=_OF_TICKS),
    Interval.FIVE_MINUTES: _CLOSES.format(parts=_OF_TICKS),
    Interval.HOUR: _CLOSES.format(parts=_OF_HOURS),
}
_SOURCES: Final = sorted(PRIORITIES, key=lambda source: PRIORITIES[source])


async def load_closes(
    connection: Connection, asset_uids: Sequence[str], interval: Interval, span: Span
) -> Mapping[str, Mapping[datetime, str]]:
    """Return for each asset that has a price in the span its last price in each bucket that has one, by the bucket's start.

    The span begins and ends where buckets do.
    """
    rows: Sequence[Row] = await connection.fetch(STATEMENTS[interval], asset_uids, span.start, span.end, interval.width, _SOURCES)
    closes: dict[str, dict[datetime, str]] = {}
    for row in rows:
        closes.setdefault(row["asset_uid"], {})[row["started_at"]] = row["close"]
    return closes
