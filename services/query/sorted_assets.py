"""All assets as they are sorted: pages in every order of GET /data, of everything, of a source or of what a search finds.

Filled by looks at Postgres (libs/postgres/reading/assets.py); no I/O, no clock. The list of an order is sorted when it is first
asked for, and brought up to date when it is asked for again after a look: what has changed goes out and comes in again behind,
so that timsort finds the rest in order. Both directions, every source and every search read the same list.

The stream and every other request share the loop. So the work is done in slices with a turn for the others between them, and
nothing that is half done is seen: it is done beside what is there, and put in its place at once.

Rows without a value come last in both directions, and are sorted by uid in that of the order. NaN and the infinities are no
values here, as they are none in the answer. Everything sorted by uid, which is the order of code points, is rows without a value.
"""

import asyncio
from bisect import bisect_left, bisect_right
from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from decimal import Decimal
from enum import StrEnum
from itertools import takewhile
from typing import Final, NamedTuple, TypeAlias, TypeVar

from libs.postgres.reading.assets import AssetKey, AssetsSeen

KeyValue: TypeAlias = int | Decimal | datetime | None
_One = TypeVar("_One")

SLICE: Final = 2_000
"""So many assets are seen to without a turn for the others: one to three milliseconds."""
NEVER: Final = datetime.min.replace(tzinfo=UTC)


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


@dataclass(frozen=True, slots=True)
class AssetPage:
    """What to read: `after` is exclusive and replaces `offset`; `source` is the source of the listing taken.

    `search`, in lower case, is what a symbol begins with or a name contains.
    """

    order: AssetOrder
    descending: bool
    limit: int
    offset: int = 0
    source: str | None = None
    after: Place | None = None
    search: str | None = None


@dataclass(frozen=True, slots=True)
class FoundAssets:
    """A page: at most `limit` keys, how many there are on all pages, where it ends if others follow, and its moment."""

    keys: Sequence[AssetKey]
    total: int
    end: Place | None
    as_of: datetime


class _Held(NamedTuple):
    """A key, since the look in which it came. Two are the same only if they are the same object."""

    key: AssetKey
    look: int
    name: str
    """In lower case."""


_Coarse: TypeAlias = float | datetime | str
_Entry: TypeAlias = "tuple[_Coarse, KeyValue, str, _Held]"
"""Compared by value and uid: no list has two entries of a uid.

Amounts are compared as floats first, and as decimals, which takes three times as long, only where these are equal: of two
amounts the larger has the larger float or the same one, be it the infinite one or nought. Entries without a value have their uid
in its place.
"""


class SortedAssets:
    """Holds the key of every asset as the last look saw it; nothing before the first.

    Only one of `take` and `sort` at a time; who reads a page meanwhile reads what was there before, or after.
    """

    def __init__(self) -> None:
        self.horizon: str | None = None
        self.as_of = NEVER
        self._look = 0
        self._versions = 0
        self._held: dict[str, _Held] = {}
        self._lists: dict[tuple[AssetOrder, str | None], _SortedList] = {}

    async def take(self, seen: AssetsSeen) -> bool:
        """Take in a look since this horizon. False, and nothing is taken in: an asset is gone, and all is to be read anew.

        No asset that was written since is missing from the look, so as many as it counted are held if and only if none of them is
        gone. The sum of the versions tells of what should not be: another database at the same address, restored or a replica
        that lags behind, whose horizons are not those of this one.
        """
        held, look = self._held, self._look + 1
        came: dict[str, _Held] = {}
        assets, versions = len(held), self._versions
        async for keys in _in_turns(seen.keys):
            for key in keys:
                one = held.get(key.asset_uid)
                if one is not None and one.key == key:
                    continue
                came[key.asset_uid] = _Held(key, look, key.name.lower())
                assets += one is None
                versions += key.version - (0 if one is None else one.key.version)
        if (assets, versions) != (seen.assets, seen.versions):
            return False
        if came:
            self._look = look
            for asset_uid in came:
                held.pop(asset_uid, None)  # what has come last is to stand last
            held.update(came)
        self.horizon, self.as_of, self._versions = seen.horizon, seen.as_of, versions
        return True

    def is_sorted(self, order: AssetOrder, source: str | None = None) -> bool:
        """Whether pages of this order and source can be read: they were sorted since the last look that brought anything."""
        rows = self._lists.get((order, source))
        return rows is not None and rows.look == self._look

    async def sort(self, order: AssetOrder, source: str | None = None) -> None:
        """Make pages of this order, and of this source, readable."""
        if not self.is_sorted(order):
            self._lists[order, None] = await self._sorted_anew(order, self._lists.get((order, None), _NO_LIST))
        if not self.is_sorted(order, source):
            whole = self._lists[order, None]
            self._lists[order, source] = await whole.those(lambda part: [one for one in part if one[3].key.source == source])

    async def _sorted_anew(self, order: AssetOrder, rows: "_SortedList") -> "_SortedList":
        held, entries_of = self._held, _ENTRIES_OF[order]
        came: tuple[list[list[_Entry]], list[list[_Entry]]] = [], []
        async for some in _in_turns(self._since(rows.look)):
            entries = entries_of(some)
            came[0].append(sorted([entry for entry in entries if entry[1] is not None]))
            came[1].append(sorted([entry for entry in entries if entry[1] is None]))
        kept = await rows.those(lambda part: [entry for entry in part if held[entry[2]] is entry[3]])
        valued = await _merged([kept.valued, await _merged(came[0])])
        return _SortedList(self._look, valued, await _merged([kept.unvalued, await _merged(came[1])]))

    def _since(self, look: int) -> list[_Held]:
        """Return what has come since a look: it is what was put in last."""
        return list(takewhile(lambda one: one.look > look, reversed(self._held.values())))

    def count(self, source: str | None) -> int:
        """Return how many assets there are, or of how many the values come from a source, by which they are sorted by uid."""
        return len(self._held) if source is None else len(self._sorted(AssetOrder.UID, source))

    async def page(self, page: AssetPage) -> FoundAssets:
        """Return a page of what is sorted, as of this moment. A walk by `after` meets an asset whose value stays exactly once."""
        rows, as_of, search = self._sorted(page.order, page.source), self.as_of, page.search
        if search is not None:
            rows = await rows.those(
                lambda part: [entry for entry in part if entry[2].startswith(search) or search in entry[3].name]
            )
        begin = page.offset if page.after is None else rows.behind(page.after, descending=page.descending)
        entries = rows.between(begin, begin + page.limit, descending=page.descending)
        end = Place(*entries[-1][1:3]) if entries and begin + len(entries) < len(rows) else None
        return FoundAssets([entry[3].key for entry in entries], len(rows), end, as_of)

    def _sorted(self, order: AssetOrder, source: str | None) -> "_SortedList":
        if not self.is_sorted(order, source):
            raise AssertionError(f"the assets of {source} were not sorted by {order} since the last look")
        return self._lists[order, source]


@dataclass(frozen=True, slots=True)
class _SortedList:
    """Assets in an order, those with a value and those without, as of a look. Never changed: another takes its place."""

    look: int
    valued: list[_Entry]
    unvalued: list[_Entry]

    def __len__(self) -> int:
        return len(self.valued) + len(self.unvalued)

    async def those(self, fit_of: Callable[[Sequence[_Entry]], list[_Entry]]) -> "_SortedList":
        """Return those that fit, a walk through all: 2 ms for 15,000. `fit_of` finds them in a slice."""
        found: tuple[list[_Entry], list[_Entry]] = [], []
        for part, fit in zip((self.valued, self.unvalued), found, strict=True):
            async for some in _in_turns(part):
                fit.extend(fit_of(some))
        return _SortedList(self.look, *found)

    def behind(self, place: Place, *, descending: bool) -> int:
        """Return how many come before a place or are at it."""
        part = self.unvalued if place.value is None else self.valued
        entry = (*_comparable(place.value, place.asset_uid), place.asset_uid)
        passed = len(part) - bisect_left(part, entry, key=_place) if descending else bisect_right(part, entry, key=_place)
        return passed + (len(self.valued) if place.value is None else 0)

    def between(self, begin: int, end: int, *, descending: bool) -> list[_Entry]:
        """Return the entries from one number to another, exclusive."""
        found: list[_Entry] = []
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


_NO_LIST = _SortedList(-1, [], [])


async def _in_turns(all_of_them: Sequence[_One]) -> AsyncIterator[Sequence[_One]]:
    """Yield slices, and give the loop a turn before each but the first."""
    for begin in range(0, len(all_of_them), SLICE):
        if begin:
            await asyncio.sleep(0)
        yield all_of_them[begin : begin + SLICE]


async def _merged(parts: Sequence[list[_Entry]]) -> list[_Entry]:
    """Sort what is sorted in parts, two by two: of two runs timsort makes one by merging."""
    while len(parts) > 1:
        pairs = list[list[_Entry]]()
        for begin in range(0, len(parts), 2):
            pair = [entry for part in parts[begin : begin + 2] for entry in part]
            pair.sort()
            pairs.append(pair)
            if len(pair) > SLICE:
                await asyncio.sleep(0)
        parts = pairs
    return parts[0] if parts else []


def _place(entry: _Entry) -> tuple[_Coarse, KeyValue, str]:
    return entry[:3]


def _comparable(value: KeyValue, asset_uid: str) -> tuple[_Coarse, KeyValue]:
    """Return a value with what is compared first."""
    if value is None:
        return asset_uid, None
    return (float(value) if isinstance(value, Decimal) else value), value


def _entries_by(value_of: Callable[[AssetKey], KeyValue]) -> Callable[[Sequence[_Held]], list[_Entry]]:
    return lambda some: [(*_comparable(value_of(one.key), one.key.asset_uid), one.key.asset_uid, one) for one in some]


def _entries_by_amount(text_of: Callable[[AssetKey], str | None]) -> Callable[[Sequence[_Held]], list[_Entry]]:
    return lambda some: [
        (float(text), amount, one.key.asset_uid, one)
        if (text := text_of(one.key)) is not None and (amount := Decimal(text)).is_finite()
        else (one.key.asset_uid, None, one.key.asset_uid, one)
        for one in some
    ]


_ENTRIES_OF: Mapping[AssetOrder, Callable[[Sequence[_Held]], list[_Entry]]] = {
    AssetOrder.RANK: _entries_by(lambda key: key.market_cap_rank),
    AssetOrder.MARKET_CAP: _entries_by_amount(lambda key: key.market_cap_usd),
    AssetOrder.PRICE: _entries_by_amount(lambda key: key.price_usd),
    AssetOrder.VOLUME: _entries_by_amount(lambda key: key.volume_24h_usd),
    AssetOrder.UPDATED_AT: _entries_by(lambda key: key.updated_at),
    AssetOrder.UID: _entries_by(lambda _key: None),
}
