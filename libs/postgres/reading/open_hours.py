"""The open hour of a listing, that of its newest quote: its candle is no row yet, and folded from its ticks by who asks.

In the statement that reads the rows too, so that one snapshot has the hour as its ticks or as its row. Keys serve both: that of
`quotes` is in the database's collation, as a `listing` is that comes as text, and those of the history are sorted by bytes.
"""

from typing import Final

from libs.postgres.hours import hour_of

OF_THE_LISTING: Final = """
    source = listing.source COLLATE "C" AND source_id = listing.source_id COLLATE "C\""""
# With OFFSET they are looked up one by one: the planner takes a few listings for a hundred, and would join all quotes to them.
_THE_HOUR: Final = f"""(
            SELECT {hour_of("source_updated_at")} AS started_at FROM quotes
            WHERE quotes.source = listing.source AND quotes.source_id = listing.source_id
            OFFSET 0
        ) AS hour"""  # noqa: S608 - our own parts
_ITS_TICKS: Final = f"""
    {OF_THE_LISTING} AND price_usd IS NOT NULL
        AND event_time >= hour.started_at AND event_time < hour.started_at + interval '1 hour'"""

OPEN_HOUR: Final = f"""
        SELECT hour.started_at AS open_hour FROM {_THE_HOUR}
        WHERE EXISTS (SELECT FROM quote_history WHERE {_ITS_TICKS} OFFSET 0)"""  # noqa: S608 - our own parts
"""When the candle of the hour begins; nothing where no tick of it has a price. It may be a row."""


def of_the_open_hour(start: str, end: str) -> str:
    """Return what to select the ticks of the hour from that have a price, where it has no row and lies between two parameters."""
    return f"""{_THE_HOUR} CROSS JOIN LATERAL (
        SELECT * FROM quote_history
        WHERE {_ITS_TICKS} AND event_time >= {start} AND event_time < {end}
        OFFSET 0
    ) AS tick
    WHERE hour.started_at >= {start} AND hour.started_at < {end} AND NOT EXISTS (
        SELECT FROM candles_1h
        WHERE {OF_THE_LISTING} AND started_at = hour.started_at AND started_at >= {start} AND started_at < {end}
        OFFSET 0)"""  # noqa: S608 - our own parts
