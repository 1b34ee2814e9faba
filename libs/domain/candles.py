"""Candles: spans of time that begin at whole multiples of their width since 1970, UTC, and the empty ones between them."""

from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from enum import StrEnum
from typing import Final, NamedTuple

EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)


class Interval(StrEnum):
    """How wide a candle is."""

    MINUTE = "1m"
    FIVE_MINUTES = "5m"
    HOUR = "1h"
    DAY = "1d"

    @property
    def width(self) -> timedelta:
        """The same as a duration."""
        return _WIDTHS[self]


_WIDTHS: Final = {
    Interval.MINUTE: timedelta(minutes=1),
    Interval.FIVE_MINUTES: timedelta(minutes=5),
    Interval.HOUR: timedelta(hours=1),
    Interval.DAY: timedelta(days=1),
}


class Span(NamedTuple):
    """From one moment up to another, which is not in it."""

    start: datetime
    end: datetime


class Series(NamedTuple):
    """What surrounds a page of candles: the last event before it and the first behind it, None where there is none."""

    before: datetime | None
    behind: datetime | None


def bucket_at(moment: datetime, width: timedelta) -> datetime:
    """Return when the candle that holds a moment begins."""
    return moment - (moment - EPOCH) % width


def next_bucket(moment: datetime, width: timedelta) -> datetime:
    """Return when the first candle begins that does not begin before a moment."""
    return moment + (EPOCH - moment) % width


def gaps_between(page: Span, starts: Sequence[datetime], width: timedelta, series: Series) -> list[Span]:
    """Return the spans of a page without a candle that lie inside the series.

    `page` begins and ends where candles do; `starts` are those of its candles, oldest first. Before a series begins and
    after its end nothing is missing.
    """
    ends = [page.start, *(start + width for start in starts)]
    gaps = [Span(end, start) for end, start in zip(ends, [*starts, page.end], strict=True) if end < start]
    if gaps and gaps[0].start == page.start and series.before is None:
        gaps = gaps[1:]
    if gaps and gaps[-1].end == page.end and series.behind is None:
        gaps = gaps[:-1]
    return gaps
