"""Moments as an operator writes them: a time of ISO 8601, or how long ago."""

import re
from datetime import UTC, datetime, timedelta
from typing import Final

from services.cli.errors import UseError

UNITS: Final = {"s": "seconds", "m": "minutes", "h": "hours", "d": "days", "w": "weeks"}
AGO: Final = re.compile(r"(\d{1,6})([smhdw])")
EXAMPLES: Final = "2026-05-01T12:00Z, 2026-05-01 (UTC where no zone is given), 90s, 30m, 2h or 3d (ago)"


def moment_of(text: str, now: datetime) -> datetime:
    """Return the moment, aware. Raises UseError for what is none, and for one that is still to come."""
    if ago := AGO.fullmatch(text.strip()):
        number, unit = ago.groups()
        try:
            return now - timedelta(**{UNITS[unit]: int(number)})
        except OverflowError:
            raise UseError(f"{text} ago is before all time") from None
    try:
        moment = datetime.fromisoformat(text.strip())
    except ValueError:
        raise UseError(f"{text!r} is no time; write one as {EXAMPLES}") from None
    moment = moment if moment.tzinfo else moment.replace(tzinfo=UTC)
    if moment > now:
        raise UseError(f"{moment.isoformat()} is still to come")
    return moment
