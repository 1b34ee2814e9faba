"""The hours that candles are made of, in SQL and here: each begins at a whole hour since 1970, UTC."""

from datetime import UTC, datetime, timedelta
from typing import Final

HOUR: Final = timedelta(hours=1)


def hour_of(moment: str) -> str:
    """Return the expression for the beginning of the hour that a moment, itself an expression, is in."""
    return f"date_bin('1 hour', {moment}, '1970-01-01 00:00Z')"


def hour_at(moment: datetime) -> datetime:
    """Return the beginning of the hour that a moment is in."""
    return moment.astimezone(UTC).replace(minute=0, second=0, microsecond=0)
