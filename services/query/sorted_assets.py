"""All assets as they are sorted: pages in every order of GET /data, of everything, of a source or of what a search finds.

Filled by looks at Postgres (libs/postgres/reading/assets.py); no I/O, no clock. A list is sorted when it is first asked for, and
brought up to date when it is asked for again after a look: what has changed goes out and comes in again behind, so that timsort
finds the rest in order. Both directions read the same list. 15,000 assets take 20 MiB once all orders were asked for, 100,000
take 135.

Rows without a value come last in both directions, and are sorted by uid in that of the order. NaN and the infinities are no
values here, as they are none in the answer. Everything sorted by uid, which is the order of code points, is rows without a value.
"""

from bisect import bisect_left, bisect_right
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from decimal import Decimal
from enum import StrEnum
from typing import NamedTuple, TypeAlias

from libs.postgres.reading.assets import AssetKey, AssetsSeen

KeyValue: TypeAlias = int | Decimal | datetime | None


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
    """A page: at most `limit` keys, how many there are on all pages, where it ends if it is full, and of which moment it is."""

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


_Entry: TypeAlias = "tuple[KeyValue, str, _Held]"
"""Compared by value and uid: no list has two entries of a uid."""


class SortedAssets:
    """Holds the key of every asset as the last look saw it."""

    def __init__(self, seen: AssetsSeen) -> None:
        """Begin with a look at everything."""
        self.horizon = seen.horizon
        self.as_of = seen.as_of
        self._look = 0
        self._versions = seen.versions
        self._held = {key.asset_uid: _Held(key, 0, key.name.lower()) for key in seen.keys}
        self._lists: dict[tuple[AssetOrder, str | None], _SortedList] = {}

    def take(self, seen: AssetsSeen) -> bool:
        """Take in a look since this horizon. False, and nothing is taken in: an asset is gone, and all is to be read anew.

        No asset that was written since is missing from the look, so as many as it counted are held if and only if none of them is
        gone. The sum of the versions tells of what should not be: another database at the same address, restored or a replica
        that lags behind, whose horizons are not those of this one.
        """
        held = self._held
        came = [key for key in seen.keys if (one := held.get(key.asset_uid)) is None or one.key != key]
        before = [one.key.version for key in came if (one := held.get(key.asset_uid)) is not None]
        assets = len(held) + len(came) - len(before)
        versions = self._versions + sum(key.version for key in came) - sum(before)
        if (assets, versions) != (seen.assets, seen.versions):
            return False
        if came:
            self._look += 1
            held.update((key.asset_uid, _Held(key, self._look, key.name.lower())) for key in came)
        self.horizon, self.as_of, self._versions = seen.horizon, seen.as_of, versions
        return True

    def count(self, source: str | None) -> int:
        """Return how many assets there are, or of how many the values come from a source."""
        return len(self._held) if source is None else len(self._sorted(AssetOrder.UID, source))

    def page(self, page: AssetPage) -> FoundAssets:
        """Return a page. A walk by `after` meets each asset whose value does not change exactly once."""
        rows = self._sorted(page.order, page.source)
        if page.search is not None:
            rows = rows.found(page.search)
        begin = page.offset if page.after is None else rows.behind(page.after, descending=page.descending)
        entries = rows.between(begin, begin + page.limit, descending=page.descending)
        end = _place(entries[-1]) if len(entries) == page.limit else None
        return FoundAssets([held.key for _, _, held in entries], len(rows), end, self.as_of)

    def _sorted(self, order: AssetOrder, source: str | None) -> "_SortedList":
        rows = self._lists.get((order, source))
        if rows is None:
            rows = self._lists[order, source] = _SortedList()
        if rows.look < self._look:
            held, look, value_of = self._held, rows.look, _VALUE_OF[order]
            came = [(uid, one) for uid, one in held.items() if one.look > look and (source is None or one.key.source == source)]
            rows.drop(held)
            rows.add([(value_of(one.key), uid, one) for uid, one in came])
            rows.look = self._look
        return rows


@dataclass(slots=True)
class _SortedList:
    """The assets of an order and a source, as of a look; none of them as of before the first."""

    look: int = -1
    _valued: list[_Entry] = field(default_factory=list)
    _unvalued: list[_Entry] = field(default_factory=list)

    def __len__(self) -> int:
        return len(self._valued) + len(self._unvalued)

    def drop(self, held: "dict[str, _Held]") -> None:
        """Leave out what is no longer held as it was."""
        self._valued, self._unvalued = (
            [entry for entry in part if held[entry[1]] is entry[2]] for part in (self._valued, self._unvalued)
        )

    def add(self, entries: Sequence[_Entry]) -> None:
        """Put entries in their places."""
        self._valued += [entry for entry in entries if entry[0] is not None]
        self._unvalued += [entry for entry in entries if entry[0] is None]
        for part in (self._valued, self._unvalued):
            part.sort()

    def found(self, search: str) -> "_SortedList":
        """Return what a search finds: a walk through all, 2 ms for 15,000."""
        return _SortedList(
            self.look,
            *(
                [one for one in part if one[1].startswith(search) or search in one[2].name]
                for part in (self._valued, self._unvalued)
            ),
        )

    def behind(self, place: Place, *, descending: bool) -> int:
        """Return how many come before a place or are at it."""
        part = self._unvalued if place.value is None else self._valued
        passed = len(part) - bisect_left(part, place, key=_place) if descending else bisect_right(part, place, key=_place)
        return passed + (len(self._valued) if place.value is None else 0)

    def between(self, begin: int, end: int, *, descending: bool) -> list[_Entry]:
        """Return the entries from one number to another, exclusive."""
        found: list[_Entry] = []
        for part in (self._valued, self._unvalued):
            size = len(part)
            if descending:
                taken = part[max(size - end, 0) : max(size - begin, 0)]
                taken.reverse()
            else:
                taken = part[begin:end]
            found += taken
            begin, end = max(begin - size, 0), max(end - size, 0)
        return found


def _place(entry: _Entry) -> Place:
    return Place(entry[0], entry[1])


def _amount(text: str | None) -> Decimal | None:
    amount = None if text is None else Decimal(text)
    return amount if amount is not None and amount.is_finite() else None


_VALUE_OF: Mapping[AssetOrder, Callable[[AssetKey], KeyValue]] = {
    AssetOrder.RANK: lambda key: key.market_cap_rank,
    AssetOrder.MARKET_CAP: lambda key: _amount(key.market_cap_usd),
    AssetOrder.PRICE: lambda key: _amount(key.price_usd),
    AssetOrder.VOLUME: lambda key: _amount(key.volume_24h_usd),
    AssetOrder.UPDATED_AT: lambda key: key.updated_at,
    AssetOrder.UID: lambda _key: None,
}
