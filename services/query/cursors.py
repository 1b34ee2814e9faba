"""Opaque cursors: where a page ended, bound to the order and the filter that it was made for."""

import binascii
from base64 import urlsafe_b64decode, urlsafe_b64encode
from datetime import UTC, datetime
from decimal import Decimal, InvalidOperation

import msgspec

from libs.postgres.reading.assets import AssetOrder, KeyValue, Place
from services.query.problems import InvalidCursorError

LONGEST_CURSOR = 1_000
_LARGEST_RANK = 2**31 - 1
_MOST_DIGITS = 400


class _Cursor(msgspec.Struct, array_like=True, frozen=True):
    bound_to: str
    value: str | None
    key: str


def encode_cursor(bound_to: str, place: Place) -> str:
    """Return the cursor of a place; `bound_to` names the order and the filters."""
    value = place.value.isoformat() if isinstance(place.value, datetime) else place.value
    packed = msgspec.json.encode(_Cursor(bound_to, None if value is None else str(value), place.asset_uid))
    return urlsafe_b64encode(packed).decode().rstrip("=")


def decode_cursor(cursor: str, bound_to: str, order: AssetOrder) -> Place:
    """Return the place. Raises InvalidCursorError when it is not ours, or was made for another order or filter."""
    held = _unpacked(cursor)
    if held.bound_to != bound_to:
        raise InvalidCursorError("cursor: it was made for another sort or filter; begin the walk again", parameter="cursor")
    try:
        return Place(_value(order, held.value), held.key)
    except (ValueError, InvalidOperation):
        raise _not_ours() from None


def encode_record_cursor(source: str, record_id: int) -> str:
    """Return the cursor of a raw row."""
    return encode_cursor(f"raw:{source}", Place(record_id, ""))


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


def _value(order: AssetOrder, value: str | None) -> KeyValue:
    if order is AssetOrder.UID or value is None:
        if value is None and order is AssetOrder.UPDATED_AT:
            raise ValueError(value)
        return None
    if order is AssetOrder.RANK:
        rank = int(value)
        if abs(rank) > _LARGEST_RANK:
            raise ValueError(value)
        return rank
    if order is AssetOrder.UPDATED_AT:
        return datetime.fromisoformat(value).astimezone(UTC)
    amount = Decimal(value)
    if not amount.is_finite() or abs(amount.adjusted()) > _MOST_DIGITS:
        raise ValueError(value)
    return amount


def _not_ours() -> InvalidCursorError:
    return InvalidCursorError("cursor: not one that this API has given out", parameter="cursor")
