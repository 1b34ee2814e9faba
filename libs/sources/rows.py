"""Reading one row of a provider: JSON bytes to a typed struct, its numbers left raw for libs/sources/numbers.py.

What the sources have in common lives here; what a field means is each source's own. Everything that Postgres would refuse
in the row (a NUL, broken UTF-8, a number beyond reason) is found here, so that one bad row is named before a whole
statement fails on it.
"""

from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from functools import partial
from typing import Any, TypeAlias, TypeVar

import msgspec

from libs.contracts.raw_tick import RawTickFrame
from libs.domain.identity import asset_uid_of
from libs.domain.numbers import Number
from libs.domain.quotes import Quote
from libs.domain.rejections import Reason, Rejection
from libs.sources.numbers import misfit
from libs.sources.source import RowIdentity

LONGEST_SOURCE_ID = 256
"""Characters. It is part of a primary key, and Postgres refuses an index entry over 2.7 KB."""
LONGEST_NAME = 512
"""Characters. The longest name in the recorded answers has 54."""
LARGEST_ROW = 512 * 1024
"""Bytes; a topic takes messages of 1 MiB. The recorded rows have about 1.2 KB."""
DEEPEST_ROW = 200
"""Lists and objects within each other. Python's own limit differs from version to version; the recorded rows have three."""
EARLIEST = datetime(2009, 1, 1, tzinfo=UTC)
"""Nothing was traded before Bitcoin; an older time is a unit mistaken (milliseconds, 1970)."""
LATEST = datetime(2200, 1, 1, tzinfo=UTC)
"""Far enough to be a mistake, near enough that no time zone moves it past year 9999."""
FUTURE_ALLOWED = timedelta(hours=24)
"""How far an event time may lie after the time of fetching: clocks and time zones differ."""

NESTED_TOO_DEEPLY = f"the row is nested too deeply (at most {DEEPEST_ROW} lists and objects within each other)"

Scalar: TypeAlias = str | float | int | bool | None
"""What a field that we do not read may hold: to read it as one finds all that is wrong with it."""

Row = TypeVar("Row")
_BACKSLASH, _BRACKET = b"\\["
"""As numbers, which are found in bytes five times as fast as bytes are."""
_anything = msgspec.json.Decoder()
_quote = partial(tuple.__new__, Quote)
"""By the tuple's own constructor: there is one for every tick."""


def read_row(
    decoder: msgspec.json.Decoder[Row], payload: bytes, *, whole: msgspec.json.Decoder[Row] | None = None
) -> Row | Rejection:
    """Return the row, or why nothing can be done with it.

    `whole` knows all fields that the provider is known to send, as `Scalar` those that we do not read, and refuses any other: it
    has seen whatever is in a row that it takes, so that nearly every row is read once. Only what it leaves raw it has not looked
    into: `read_numbers` does, and where a row tells such a number twice, at the last, which is the one that JSONB keeps. A row
    that it refuses is looked over and read with the other decoder, which is as good and slower.
    """
    if whole is not None and len(payload) <= LARGEST_ROW and payload.isascii() and _BACKSLASH not in payload:
        try:
            return whole.decode(payload)
        except (ValueError, RecursionError):
            pass  # it may be a field more: what is wrong, if anything, is said below
    row = undamaged(payload)
    if isinstance(row, Rejection):
        return row
    try:
        return decoder.decode(payload)
    except msgspec.ValidationError as error:
        return misfit(str(error))


def row_identity(source_id: str | None, symbol: str | None, updated_at: datetime | Rejection) -> RowIdentity | Rejection:
    """Check what a listing is known by."""
    if source_id is None or not source_id.strip():
        return Rejection(Reason.MISSING_SOURCE_ID, "the id is missing or blank")
    if len(source_id) > LONGEST_SOURCE_ID:
        return Rejection(Reason.WRONG_SHAPE, f"the id has {len(source_id)} characters, at most {LONGEST_SOURCE_ID}")
    asset_uid = asset_uid_of(symbol)
    if isinstance(asset_uid, Rejection):
        return asset_uid
    if isinstance(updated_at, Rejection):
        return updated_at
    return RowIdentity(source_id, asset_uid, updated_at)


def time_of(field: str, text: str | None, fallback: datetime) -> datetime | Rejection:
    """Read an ISO 8601 time, in UTC unless it says otherwise; the fallback when the provider has none.

    Go's zero time (year 1), which CoinPaprika's servers write for "never", is none.
    """
    if not text or text.startswith("0001-01-01"):
        return fallback
    try:
        return sane_time(field, datetime.fromisoformat(text))
    except ValueError:
        return Rejection(Reason.UNREADABLE_TIME, f"{field} is not a time: {text[:80]!r}")


def sane_time(field: str, time: datetime) -> datetime | Rejection:
    """Return the time in UTC, or refuse one that no market can have."""
    aware = time if time.tzinfo else time.replace(tzinfo=UTC)
    if not EARLIEST <= aware <= LATEST:
        return Rejection(Reason.UNREADABLE_TIME, f"{field} is not a time between {EARLIEST:%Y} and {LATEST:%Y}: {time}")
    return aware.astimezone(UTC)


def quote_from(
    frame: RawTickFrame,
    *,
    source_id: str | None,
    symbol: str | None,
    name: str | None,
    numbers: Sequence[Number | None],
    rank: int | None,
) -> Quote | Rejection:
    """Make the quote of a tick from what its row says.

    The event time is the tick's own: the producer read it from this row or, where the row has none, from its answer.
    A row without a name has the name "": its symbol in that place would pass for evidence, since all of an asset_uid share it.
    """
    wrong = _wrong_identity(frame, source_id, symbol, name) or _wrong_times(frame)
    if wrong is not None:
        return wrong
    about = (frame.source, frame.source_id, frame.asset_uid, (symbol or "").strip(), (name or "").strip())
    when = (frame.source_updated_at, frame.fetched_at, frame.tick_id, frame.run_id)
    return _quote((*about, *numbers, rank, *when))


def undamaged(payload: bytes) -> dict[str, Any] | Rejection:
    """Return all of a row, or what no column and no JSONB takes, anywhere in it: the fields that we do not read are stored too.

    Its numbers are binary floats: for looking at names only.
    """
    if len(payload) > LARGEST_ROW:
        return Rejection(Reason.WRONG_SHAPE, f"the row has {len(payload)} bytes, at most {LARGEST_ROW}")
    try:
        row = _anything.decode(payload)
    except (ValueError, RecursionError) as error:
        return _unreadable(payload, error)
    if not isinstance(row, dict):
        return Rejection(Reason.WRONG_SHAPE, "the row is not a JSON object")
    if _is_nested(payload) and payload.count(b"[") + payload.count(b"{") > DEEPEST_ROW and _is_too_deep(row):
        return Rejection(Reason.WRONG_SHAPE, NESTED_TOO_DEEPLY)
    if _BACKSLASH in payload and _holds_nul(row):
        return Rejection(Reason.NUL_CHARACTER, "the row holds a NUL, which Postgres cannot store")
    return row


def _unreadable(payload: bytes, error: ValueError | RecursionError) -> Rejection:
    """Name what the JSON reader stumbled over (msgspec's errors and UnicodeDecodeError are ValueErrors)."""
    if isinstance(error, RecursionError):
        return Rejection(Reason.WRONG_SHAPE, NESTED_TOO_DEEPLY)
    if isinstance(error, msgspec.ValidationError):
        return Rejection(Reason.NUMBER_OUT_OF_RANGE, f"a number in the row is beyond reason: {error}")
    if b"\\ud" in payload.lower():
        return Rejection(Reason.WRONG_SHAPE, f"the row holds half a character (a lone surrogate): {error}")
    return Rejection(Reason.UNDECODABLE, f"the row is not JSON: {error}")


def _is_nested(payload: bytes) -> bool:
    """Whether there may be a list or an object in the row; to count them takes three times as long."""
    return _BRACKET in payload or payload.rfind(b"{") > 0


def _is_too_deep(row: Any) -> bool:
    """Go down level by level: recursion would end where Python says, and not where we do."""
    level = [row]
    for _ in range(DEEPEST_ROW):
        lists = [each if isinstance(each, list) else each.values() for each in level if isinstance(each, (list, dict))]
        level = [inner for each in lists for inner in each]
    return any(isinstance(each, (list, dict)) for each in level)


def _holds_nul(value: Any) -> bool:
    if isinstance(value, str):
        return "\x00" in value
    if isinstance(value, dict):
        return any("\x00" in key or _holds_nul(inner) for key, inner in value.items())
    return isinstance(value, list) and any(map(_holds_nul, value))


def _wrong_identity(frame: RawTickFrame, source_id: str | None, symbol: str | None, name: str | None) -> Rejection | None:
    asset_uid = asset_uid_of(symbol)
    if isinstance(asset_uid, Rejection):
        return asset_uid
    if frame.asset_uid != asset_uid or frame.source_id != source_id:
        told, read = (frame.source_id, frame.asset_uid), (source_id, asset_uid)
        return Rejection(Reason.IDENTITY_MISMATCH, f"the tick speaks of {told}, its payload of {read}"[:1_000])
    if len(frame.source_id) > LONGEST_SOURCE_ID or (name is not None and len(name) > LONGEST_NAME):
        return Rejection(Reason.WRONG_SHAPE, f"the id or the name is too long (at most {LONGEST_SOURCE_ID}, {LONGEST_NAME})")
    return None


def _wrong_times(frame: RawTickFrame) -> Rejection | None:
    told, fetched = frame.source_updated_at, frame.fetched_at
    have_zones = told.tzinfo is not None and fetched.tzinfo is not None
    if have_zones and EARLIEST <= told <= fetched <= LATEST:  # as nearly all
        return None
    for field, time in (("fetched_at", fetched), ("source_updated_at", told)):
        if time.tzinfo is None or not EARLIEST <= time <= LATEST:
            return Rejection(Reason.UNREADABLE_TIME, f"{field} is not a time of this century, with its zone: {time}")
    if told > fetched and told - fetched > FUTURE_ALLOWED:
        return Rejection(Reason.TIME_IN_FUTURE, f"{told} is over 24 h after it was fetched")
    return None
