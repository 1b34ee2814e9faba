"""The numbers of a provider's row, with the provider's digits, and what is wrong with one that no market can have."""

import re
from collections.abc import Sequence
from decimal import Decimal
from functools import lru_cache
from typing import Any, NamedTuple

import msgspec

from libs.domain.numbers import Number, number_of
from libs.domain.rejections import Reason, Rejection

LARGEST_EXPONENT = 300
"""Of a number's first digit, up or down; NUMERIC takes more, a sane market does not."""
MOST_DIGITS = 1_000
"""Characters of one number."""
LARGEST_RANK = 2**31 - 1
"""The column is an int4."""

MISSING = msgspec.Raw(b"null")
"""A number that the row does not have."""

_MAY_BE_NEGATIVE = (False, False, False, True, True, True, False, False, False)
"""price, market cap, volume, change 1h, 24h, 7d, circulating, total, max supply: the order of Quote."""
_PLAIN_SHAPE = re.compile(
    b"".join(rb"(?:-?\.?|null)," if negative else rb"(?:\.?|null)," for negative in _MAY_BE_NEGATIVE) + rb"(?:|null)"
)
"""What is left of a row's numbers without their digits when they are written as a Number is, as nearly all are.

They have been read as JSON before, which leaves no zero before a digit and no point without digits on both sides.
"""
_NEGATIVE_ZERO = re.compile(rb"-[0.]+(?:,|$)")
LONGEST_PLAIN = 300
"""Bytes of all the numbers of a row, which keeps each of them far within what a number may be."""
MOST_RANK_DIGITS = 9
SHAPES_KEPT = 4_096

_decimal = msgspec.json.Decoder(Decimal | None)


def read_numbers(raw: Sequence[msgspec.Raw], fields: Sequence[str]) -> tuple[list[Number | None], int | None] | Rejection:
    """Read a row's numbers in the order of Quote and its rank (0 is none); `fields` are the provider's names of them."""
    row = b",".join(raw)
    if len(row) <= LONGEST_PLAIN and (plain := _plain(row.translate(None, b"0123456789"))) is not None:
        numbers: list[Any] = row.decode().split(",")
        for place in plain.nulls:
            numbers[place] = None
        rank = numbers.pop()
        if (rank is None or len(rank) <= MOST_RANK_DIGITS) and not (plain.has_minus and _NEGATIVE_ZERO.search(row)):
            return numbers, int(rank or 0) or None
    read: list[Decimal | None] = []
    for field, number in zip(fields, raw, strict=True):
        try:
            read.append(_decimal.decode(number))
        except msgspec.ValidationError as error:
            return misfit(f"{error} - at `$.{field}`")
    return check_numbers(read, fields)


class _Plain(NamedTuple):
    """What the shape of plain numbers tells: the places that are null, and whether any number has a minus."""

    nulls: Sequence[int]
    has_minus: bool


@lru_cache(maxsize=SHAPES_KEPT)
def _plain(shape: bytes) -> _Plain | None:
    if _PLAIN_SHAPE.fullmatch(shape) is None:
        return None
    return _Plain([place for place, left in enumerate(shape.split(b",")) if left == b"null"], b"-" in shape)


def check_numbers(read: Sequence[Decimal | None], fields: Sequence[str]) -> tuple[list[Number | None], int | None] | Rejection:
    """Refuse what no market and no column can have; as `read_numbers`, for numbers that were read already."""
    numbers: list[Number | None] = []
    for field, number, may_be_negative in zip(fields, read, _MAY_BE_NEGATIVE, strict=False):
        if number is not None and (wrong := _wrong_number(number, field, may_be_negative=may_be_negative)):
            return wrong
        numbers.append(None if number is None else number_of(number))
    rank = _rank(read[-1], fields[-1])
    return rank if isinstance(rank, Rejection) else (numbers, rank)


def misfit(message: str) -> Rejection:
    """Sort msgspec's words (`Expected ..., got ... - at $.field`): a bad number is one thing, a changed shape another."""
    bad_number = "`decimal" in message and "`object`" not in message and "`array`" not in message
    if bad_number or message.startswith("Invalid decimal"):
        return Rejection(Reason.UNREADABLE_NUMBER, message)
    return Rejection(Reason.WRONG_SHAPE, message)


def _wrong_number(number: Decimal, field: str, *, may_be_negative: bool) -> Rejection | None:
    if not number.is_finite():
        return Rejection(Reason.UNREADABLE_NUMBER, f"{field} is not a number: {number}")
    text = str(number)
    if not -LARGEST_EXPONENT <= number.adjusted() <= LARGEST_EXPONENT or len(text) > MOST_DIGITS:
        return Rejection(Reason.NUMBER_OUT_OF_RANGE, f"{field} is beyond reason: {text[:80]}")
    if not may_be_negative and number < 0:
        return Rejection(Reason.NUMBER_OUT_OF_RANGE, f"{field} is below zero: {number}")
    return None


def _rank(number: Decimal | None, field: str) -> int | Rejection | None:
    """Return the rank; 0 is none."""
    if not number:
        return None
    if not number.is_finite() or (number.adjusted() <= LARGEST_EXPONENT and number != number.to_integral_value()):
        return Rejection(Reason.UNREADABLE_NUMBER, f"{field} is not a whole number: {str(number)[:80]}")
    if not 0 < number <= LARGEST_RANK:
        return Rejection(Reason.NUMBER_OUT_OF_RANGE, f"{field} is not between 1 and {LARGEST_RANK}: {str(number)[:80]}")
    return int(number)
