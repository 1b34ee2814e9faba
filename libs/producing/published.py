"""What is published already, judged from what each shard's last answer held.

A provider's pages shift between two calls, so a row may leave one shard and come up in another, in the same run, in a later
one, or after an absence. So the contents of all shards count, and which content a *listing* had last: a content that was
replaced by another and comes back must be published again, or the topic would end with the wrong one.
Forgetting costs a duplicate, which the normalizer drops; it never costs a tick.
"""

from collections.abc import Mapping
from collections.abc import Set as AbstractSet
from dataclasses import dataclass
from datetime import datetime, timedelta
from functools import cached_property, lru_cache
from hashlib import blake2b

from libs.contracts.cursors import LISTING_BYTES, ContentOf, pack_contents

MOST_CARRIED = 20_000
"""Listings that a shard remembers although they are on no shard now: more than any provider has."""
HASHES_KEPT = 32_768
"""Of listings, some 200 bytes each: they are the same from poll to poll."""


@dataclass(frozen=True, slots=True)
class ShardMemory:
    """What a shard's last answer held, and what it keeps in mind of earlier ones."""

    held: AbstractSet[ContentOf]
    carried: AbstractSet[ContentOf] = frozenset()
    whole_at: datetime | None = None
    """When the whole answer was last published, the unchanged rows too."""
    polled_at: datetime | None = None
    packed: tuple[str, str] | None = None
    """What is held as the cursor says it, for the next cursor: most answers are the same again."""


def content_of(source_id: str, tick_id: bytes) -> ContentOf:
    """Name a content of a listing."""
    return _hash_of(source_id) + tick_id


def tick_id_in(content: ContentOf) -> bytes:
    """Return the 16 bytes of the tick_id."""
    return content[LISTING_BYTES:]


class Published:
    """The memories of all shards at one moment, the one with the newest answer last, as one shard asks them."""

    def __init__(self, shards: Mapping[str, ShardMemory], shard: str) -> None:
        self._own = shards.get(shard)
        self._all = list(shards.values())
        self._others = [memory for name, memory in shards.items() if name != shard]
        self._other_rows = {name: len(memory.held) for name, memory in shards.items() if name != shard}

    def whole_is_due(self, now: datetime, retention: timedelta | None) -> bool:
        """Whether the asking shard's whole answer must be published again, the unchanged rows too.

        A topic forgets what it was given a retention ago, and who rebuilds the tables from it would miss each row that has
        not changed since. A third, so that a row that changes its shard between two such times does not come too late either.
        """
        if self._own is None or retention is None:
            return False
        # A clock that was set back must not put it off for as long as it was wrong.
        return self._own.whole_at is None or not timedelta(0) <= now - self._own.whole_at < retention / 3

    def whole_at(self, now: datetime, retention: timedelta | None) -> datetime:
        """Return when the asking shard was published whole last, should it be published now."""
        known = self._own.whole_at if self._own is not None else None
        return now if known is None or self.whole_is_due(now, retention) else known

    @property
    def others(self) -> Mapping[str, int]:
        """How many rows the last answer of each other shard had."""
        return self._other_rows

    @property
    def polled_at(self) -> datetime | None:
        """When the asking shard's last answer was fetched, by the clock of whoever fetched it."""
        return self._own.polled_at if self._own is not None else None

    def packed(self, answer: AbstractSet[ContentOf]) -> tuple[str, str]:
        """Return an answer's contents as its cursor says them."""
        if self._own is not None and self._own.packed is not None and self._own.held == answer:
            return self._own.packed
        return pack_contents(answer)

    def lacking(self, answer: AbstractSet[ContentOf]) -> AbstractSet[ContentOf]:
        """Return those that are not what their listing had last: on the asking shard, or else wherever the listing was newest."""
        unknown = answer - self._own.held if self._own is not None else answer
        return {content for content in unknown if not self._held_elsewhere(content)}

    def _held_elsewhere(self, content: ContentOf) -> bool:
        return content in self._anywhere and content in self._newest.get(content[:LISTING_BYTES], ())

    def carried_on(self, answer: AbstractSet[ContentOf]) -> frozenset[ContentOf]:
        """Return what the asking shard must keep in mind: listings that it had, the answer has not, and no other shard holds."""
        known = self._own.held | self._own.carried if self._own is not None else frozenset()
        if not known - answer:
            return frozenset()
        present = _listings(answer)
        missing = [content for content in known if content[:LISTING_BYTES] not in present]
        elsewhere = set().union(*(_listings(memory.held) for memory in self._others)) if missing else set()
        return frozenset([content for content in missing if content[:LISTING_BYTES] not in elsewhere][:MOST_CARRIED])

    @cached_property
    def _anywhere(self) -> frozenset[ContentOf]:
        return frozenset().union(*(memory.held for memory in self._all), *(memory.carried for memory in self._all))

    @cached_property
    def _newest(self) -> dict[bytes, AbstractSet[ContentOf]]:
        """Listing -> the contents among which it was newest. Two shards that remember it differently do not know."""
        newest: dict[bytes, AbstractSet[ContentOf]] = {}
        for memory in self._all:
            for content in memory.carried:
                before = newest.get(content[:LISTING_BYTES])
                agreed = before is None or before is memory.carried or content in before
                newest[content[:LISTING_BYTES]] = memory.carried if agreed else frozenset()
        for memory in self._all:
            newest.update((content[:LISTING_BYTES], memory.held) for content in memory.held)
        return newest


@lru_cache(maxsize=HASHES_KEPT)
def _hash_of(source_id: str) -> bytes:
    return blake2b(source_id.encode("utf-8", "surrogatepass"), digest_size=LISTING_BYTES).digest()


def _listings(contents: AbstractSet[ContentOf]) -> set[bytes]:
    return {content[:LISTING_BYTES] for content in contents}
