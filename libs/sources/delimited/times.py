"""Times as files have them: ISO 8601, seconds or milliseconds since 1970, or a date with the month's name. UTC unless said."""

import re
from datetime import UTC, datetime, timedelta

from libs.domain.rejections import Reason, Rejection
from libs.sources.rows import sane_time

_EPOCH = re.compile(r"(?P<seconds>[0-9]{10})(?P<rest>[0-9]{3}|[0-9]{6}|\.[0-9]{1,9})?")
_START = datetime(1970, 1, 1, tzinfo=UTC)
_NAMED_UTC = re.compile(r"\s*\(?(UTC|GMT|Z)\)?$", re.IGNORECASE)
_SPACED_OFFSET = re.compile(r"\s+([-+][0-9]{2}:?[0-9]{2})$")
_YEAR_FIRST = re.compile(r"^([0-9]{4})[/.]([0-9]{1,2})[/.]([0-9]{1,2})")
_DAY_OR_MONTH_FIRST = re.compile(r"^[0-9]{1,2}[/.-][0-9]{1,2}[/.-][0-9]{2,4}")
_MONTHS = (
    "january",
    "february",
    "march",
    "april",
    "may",
    "june",
    "july",
    "august",
    "september",
    "october",
    "november",
    "december",
)
_SHORT_MONTHS = tuple(month[:3] for month in _MONTHS)
_NAMED_MONTH = re.compile(
    r"""(?:[a-z]{3,9},?\s+)??
        (?: (?P<month>[a-z]{3,9})\.?\s+(?P<day>[0-9]{1,2}),? | (?P<day_first>[0-9]{1,2})[\s-]+(?P<month_second>[a-z]{3,9})\.?,? )
        [\s-]+(?P<year>[0-9]{4})
        (?: [,\s]+(?:at\s+)? (?P<hour>[0-9]{1,2}):(?P<minute>[0-9]{2})(?::(?P<second>[0-9]{2}))? \s*(?P<half>am|pm)? )?""",
    re.VERBOSE | re.IGNORECASE,
)


def cell_time(column: str, cell: str) -> datetime | Rejection:
    """Read a cell that is not blank. `06/07/2025` is June or July, so it is refused, as is every date written that way."""
    text = cell.strip()
    try:
        read = _read(text)
    except (ValueError, OverflowError):
        read = None
    if read is not None:
        return sane_time(repr(column), read)
    either = _DAY_OR_MONTH_FIRST.match(text)
    advice = "does not say which number is the month: write 2025-06-30" if either else "is not a time: write 2025-06-30T12:00:00Z"
    return Rejection(Reason.UNREADABLE_TIME, f"{column!r}: {cell[:80]!r} {advice}")


def _read(text: str) -> datetime | None:
    epoch = _EPOCH.fullmatch(text)
    if epoch:
        rest = epoch["rest"] or ""
        fraction = rest if rest.startswith(".") else f".{rest or 0}"
        return _START + timedelta(seconds=int(epoch["seconds"]), microseconds=int(f"{fraction[1:]:0<6}"[:6]))
    named = _NAMED_UTC.search(text)
    plain = text[: named.start()] if named else text
    month = _NAMED_MONTH.fullmatch(plain)
    if month:
        return _with_month_name(month)
    year_first = _YEAR_FIRST.match(plain)
    if year_first:
        plain = f"{year_first[1]}-{int(year_first[2]):02}-{int(year_first[3]):02}" + plain[year_first.end() :]
    return datetime.fromisoformat(_SPACED_OFFSET.sub(r"\1", plain))


def _with_month_name(found: re.Match[str]) -> datetime:
    name = (found["month"] or found["month_second"]).casefold()
    month = (_MONTHS if name in _MONTHS else _SHORT_MONTHS).index("sep" if name == "sept" else name) + 1
    hour = int(found["hour"] or 0)
    if found["half"]:
        if not 1 <= hour <= 12:  # noqa: PLR2004 - a clock face has twelve hours
            raise ValueError("no such hour")
        hour = hour % 12 + (12 if found["half"].casefold() == "pm" else 0)
    day = int(found["day"] or found["day_first"])
    minute, second = int(found["minute"] or 0), int(found["second"] or 0)
    return datetime(int(found["year"]), month, day, hour, minute, second, tzinfo=UTC)
