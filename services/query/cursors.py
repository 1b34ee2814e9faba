"""Opaque cursors: where a page ended, bound to the order and the filter that it was made for."""

import binascii
from base64 import urlsafe_b64decode, urlsafe_b64encode
from collections.abc import Callable, Sequence
from datetime import UTC, datetime
from decimal import Decimal, InvalidOperation
from typing import TypeVar

import msgspec

from services.query.problems import InvalidCursorError
from services.query.sorted_list import AssetOrder, KeyValue

LONGEST_CURSOR = 1_000
_LARGEST_RANK = 2**31 - 1
_MOST_DIGITS = 400


Value = TypeVar("Value")
One = TypeVar("One")


class _Cursor(msgspec.Struct, array_like=True, frozen=True):
    bound_to: str
    value: str | None
    key: str


def page_of(rows: Sequence[One], limit: int) -> tuple[Sequence[One], One | None]:
    """Take a page of rows that were read up to one more than it may have: the page, and its last row if others follow.

    So a full page that is the last has no cursor, which would lead to an empty one.
    """
    page = rows[:limit]
    return page, page[-1] if len(rows) > limit else None


def encode_cursor(bound_to: str, value: object, key: str) -> str:
    """Return the cursor of a row: what the list is sorted by, None without it, and what tells rows of equal value apart.

    `bound_to` names the list, its order and its filters.
    """
    written = value.isoformat() if isinstance(value, datetime) else value
    packed = msgspec.json.encode(_Cursor(bound_to, None if written is None else str(written), key))
    return urlsafe_b64encode(packed).decode().rstrip("=")


def decode_cursor(cursor: str, bound_to: str, read: Callable[[str | None], Value]) -> tuple[Value, str]:
    """Return the value and the key; `read` raises ValueError, OverflowError or InvalidOperation for a value that is none.

    Raises InvalidCursorError when the cursor is not ours, or was made for another order or filter.
    """
    held = _unpacked(cursor)
    if held.bound_to != bound_to:
        raise InvalidCursorError("cursor: it was made for another sort or filter; begin the walk again", parameter="cursor")
    try:
        return read(held.value), held.key
    except (ValueError, OverflowError, InvalidOperation):
        raise _not_ours() from None


def read_moment(value: str | None) -> datetime:
    """Read the value of a list that is sorted by time."""
    if value is None:
        raise ValueError("a list by time has no rows without one")
    return datetime.fromisoformat(value).astimezone(UTC)


def read_asset_value(order: AssetOrder, value: str | None) -> KeyValue:
    """Read the value of a list of assets in this order."""
    if order is AssetOrder.UPDATED_AT:
        return read_moment(value)
    if order is AssetOrder.UID or value is None:
        return None
    if order is AssetOrder.RANK:
        rank = int(value)
        if abs(rank) > _LARGEST_RANK:
            raise ValueError(value)
        return rank
    amount = Decimal(value)
    if not amount.is_finite() or abs(amount.adjusted()) > _MOST_DIGITS:
        raise ValueError(value)
    return amount


def encode_record_cursor(source: str, record_id: int) -> str:
    """Return the cursor of a raw row."""
    return encode_cursor(f"raw:{source}", record_id, "")


def decode_record_cursor(cursor: str, source: str) -> int:
    """Return the record_id that the last page ended with."""
    held = _unpacked(cursor)
    if held.bound_to != f"raw:{source}":
        raise InvalidCursorError("cursor: it was made for another source", parameter="cursor")
    if held.value is None or not (held.value.isascii() and held.value.isdigit()) or int(held.value) >= 2**63:
        raise _not_ours()
    return int(held.value)


def _unpacked(cursor: str) -> _Cursor:
    try:
        packed = urlsafe_b64decode(cursor + "=" * (-len(cursor) % 4))
        held = msgspec.json.decode(packed, type=_Cursor)
        (held.key + (held.value or "")).encode()
    except (ValueError, binascii.Error, msgspec.DecodeError):
        raise _not_ours() from None
    if "\x00" in held.key or len(held.value or "") > _MOST_DIGITS:
        raise _not_ours()
    return held


def _not_ours() -> InvalidCursorError:
    return InvalidCursorError("cursor: not one that this API has given out", parameter="cursor")
