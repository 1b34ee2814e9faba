"""A sorted list of assets: those with a value by it, those without by uid, and what they are compared by.

The stream and every other request share the loop. So what walks through all of a list does it in slices, with a turn for the
others between them, and nothing that is half done is seen: a list is made beside what is there, and never changed.
"""

import asyncio
from bisect import bisect_left, bisect_right
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal
from enum import StrEnum
from typing import Final, NamedTuple, TypeAlias

from libs.postgres.reading.assets import AssetKey
from libs.process.turns import in_turns

KeyValue: TypeAlias = int | Decimal | datetime | None

SLICE: Final = 2_000
"""So many assets are seen to without a turn for the others: one to three milliseconds."""


class AssetOrder(StrEnum):
    """What assets can be sorted by."""

    RANK = "rank"
    MARKET_CAP = "market_cap"
    PRICE = "price"
    VOLUME = "volume"
    UPDATED_AT = "updated_at"
    UID = "uid"


class Place(NamedTuple):
    """Where a page ended: the order's value there (None among the rows without one) and the asset_uid."""

    value: KeyValue
    asset_uid: str


class Held(NamedTuple):
    """A key, since the look in which it came. Two are the same only if they are the same object."""

    key: AssetKey
    look: int
    name: str
    """In lower case."""


_Coarse: TypeAlias = float | datetime | str
Entry: TypeAlias = "tuple[_Coarse, KeyValue, str, Held]"
"""Compared by value and uid: no list has two entries of a uid.

Amounts are compared as floats first, and as decimals, which takes three times as long, only where these are equal: of two
amounts the larger has the larger float or the same one, be it the infinite one or nought. Entries without a value have their uid
in its place.
"""


@dataclass(frozen=True, slots=True)
class SortedList:
    """Assets in an order, those with a value and those without, as of a look. Never changed: another takes its place."""

    look: int
    valued: list[Entry]
    unvalued: list[Entry]

    def __len__(self) -> int:
        return len(self.valued) + len(self.unvalued)

    async def those(self, fit_of: Callable[[Sequence[Entry]], list[Entry]]) -> "SortedList":
        """Return those that fit, a walk through all: 2 ms for 15,000. `fit_of` finds them in a slice."""
        found: tuple[list[Entry], list[Entry]] = [], []
        for part, fit in zip((self.valued, self.unvalued), found, strict=True):
            async for some in in_turns(part, SLICE):
                fit.extend(fit_of(some))
        return SortedList(self.look, *found)

    def behind(self, place: Place, *, descending: bool) -> int:
        """Return how many come before a place or are at it."""
        part = self.unvalued if place.value is None else self.valued
        entry = (*_comparable(place.value, place.asset_uid), place.asset_uid)
        passed = len(part) - bisect_left(part, entry, key=_place) if descending else bisect_right(part, entry, key=_place)
        return passed + (len(self.valued) if place.value is None else 0)

    def between(self, begin: int, end: int, *, descending: bool) -> list[Entry]:
        """Return the entries from one number to another, exclusive."""
        found: list[Entry] = []
        for part in (self.valued, self.unvalued):
            size = len(part)
            if descending:
                taken = part[max(size - end, 0) : max(size - begin, 0)]
                taken.reverse()
            else:
                taken = part[begin:end]
            found += taken
            begin, end = max(begin - size, 0), max(end - size, 0)
        return found


NO_LIST = SortedList(-1, [], [])


async def merged(parts: Sequence[list[Entry]]) -> list[Entry]:
    """Sort what is sorted in parts, two by two: of two runs timsort makes one by merging."""
    while len(parts) > 1:
        pairs = list[list[Entry]]()
        for begin in range(0, len(parts), 2):
            pair = [entry for part in parts[begin : begin + 2] for entry in part]
            pair.sort()
            pairs.append(pair)
            if len(pair) > SLICE:
                await asyncio.sleep(0)
        parts = pairs
    return parts[0] if parts else []


def _place(entry: Entry) -> tuple[_Coarse, KeyValue, str]:
    return entry[:3]


def _comparable(value: KeyValue, asset_uid: str) -> tuple[_Coarse, KeyValue]:
    """Return a value with what is compared first."""
    if value is None:
        return asset_uid, None
    return (float(value) if isinstance(value, Decimal) else value), value


def _entries_by(value_of: Callable[[AssetKey], KeyValue]) -> Callable[[Sequence[Held]], list[Entry]]:
    return lambda some: [(*_comparable(value_of(one.key), one.key.asset_uid), one.key.asset_uid, one) for one in some]


def _entries_by_amount(text_of: Callable[[AssetKey], str | None]) -> Callable[[Sequence[Held]], list[Entry]]:
    return lambda some: [
        (float(text), amount, one.key.asset_uid, one)
        if (text := text_of(one.key)) is not None and (amount := Decimal(text)).is_finite()
        else (one.key.asset_uid, None, one.key.asset_uid, one)
        for one in some
    ]


ENTRIES_OF: Mapping[AssetOrder, Callable[[Sequence[Held]], list[Entry]]] = {
    AssetOrder.RANK: _entries_by(lambda key: key.market_cap_rank),
    AssetOrder.MARKET_CAP: _entries_by_amount(lambda key: key.market_cap_usd),
    AssetOrder.PRICE: _entries_by_amount(lambda key: key.price_usd),
    AssetOrder.VOLUME: _entries_by_amount(lambda key: key.volume_24h_usd),
    AssetOrder.UPDATED_AT: _entries_by(lambda key: key.updated_at),
    AssetOrder.UID: _entries_by(lambda _key: None),
}
