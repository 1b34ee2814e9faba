"""The hours that candles are made of, in SQL: each begins at a whole hour since 1970, UTC."""

from datetime import timedelta
from typing import Final

HOUR: Final = timedelta(hours=1)


def hour_of(moment: str) -> str:
    """Return the expression for the beginning of the hour that a moment, itself an expression, is in."""
    return f"date_bin('1 hour', {moment}, '1970-01-01 00:00Z')"
