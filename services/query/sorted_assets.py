"""All assets as they are sorted: pages in every order of GET /data, of everything, of a source or of what a search finds.

Filled by looks at Postgres (libs/postgres/reading/assets.py); no I/O, no clock. The list of an order is sorted when it is first
asked for, and brought up to date when it is asked for again after a look: what has changed goes out and comes in again behind,
so that timsort finds the rest in order. Both directions, every source and every search read the same list.

The stream and every other request share the loop. So the work is done in slices with a turn for the others between them, and
nothing that is half done is seen: it is done beside what is there, and put in its place at once.

Rows without a value come last in both directions, and are sorted by uid in that of the order. NaN and the infinities are no
values here, as they are none in the answer. Everything sorted by uid, which is the order of code points, is rows without a value.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from itertools import takewhile
from typing import Final

from libs.postgres.reading.assets import AssetKey, AssetsSeen
from libs.process.turns import in_turns
from services.query.sorted_list import ENTRIES_OF, NO_LIST, SLICE, AssetOrder, Entry, Held, Place, SortedList, merged

NEVER: Final = datetime.min.replace(tzinfo=UTC)


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


class SortedAssets:
    """Holds the key of every asset as the last look saw it; nothing before the first.

    Only one of `take` and `sort` at a time; who reads a page meanwhile reads what was there before, or after.
    """

    def __init__(self) -> None:
        self.horizon: str | None = None
        self.as_of = NEVER
        self._look = 0
        self._versions = 0
        self._held: dict[str, Held] = {}
        self._lists: dict[tuple[AssetOrder, str | None], SortedList] = {}

    async def take(self, seen: AssetsSeen) -> bool:
        """Take in a look since this horizon. False, and nothing is taken in: an asset is gone, and all is to be read anew.

        No asset that was written since is missing from the look, so as many as it counted are held if and only if none of them is
        gone. The sum of the versions tells of what should not be: another database at the same address, restored or a replica
        that lags behind, whose horizons are not those of this one.
        """
        held, look = self._held, self._look + 1
        came: dict[str, Held] = {}
        assets, versions = len(held), self._versions
        async for keys in in_turns(seen.keys, SLICE):
            for key in keys:
                one = held.get(key.asset_uid)
                if one is not None and one.key == key:
                    continue
                came[key.asset_uid] = Held(key, look, key.name.lower())
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
            self._lists[order, None] = await self._sorted_anew(order, self._lists.get((order, None), NO_LIST))
        if not self.is_sorted(order, source):
            whole = self._lists[order, None]
            self._lists[order, source] = await whole.those(lambda part: [one for one in part if one[3].key.source == source])

    async def _sorted_anew(self, order: AssetOrder, rows: "SortedList") -> "SortedList":
        held, entries_of = self._held, ENTRIES_OF[order]
        came: tuple[list[list[Entry]], list[list[Entry]]] = [], []
        async for some in in_turns(self._since(rows.look), SLICE):
            entries = entries_of(some)
            came[0].append(sorted([entry for entry in entries if entry[1] is not None]))
            came[1].append(sorted([entry for entry in entries if entry[1] is None]))
        kept = await rows.those(lambda part: [entry for entry in part if held[entry[2]] is entry[3]])
        valued = await merged([kept.valued, await merged(came[0])])
        return SortedList(self._look, valued, await merged([kept.unvalued, await merged(came[1])]))

    def _since(self, look: int) -> list[Held]:
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

    def _sorted(self, order: AssetOrder, source: str | None) -> "SortedList":
        if not self.is_sorted(order, source):
            raise AssertionError(f"the assets of {source} were not sorted by {order} since the last look")
        return self._lists[order, source]
