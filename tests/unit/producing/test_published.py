"""A provider whose pages shift, against what must reach the topic."""

from base64 import b64encode
from collections import Counter
from datetime import UTC, datetime
from random import Random
from uuid import UUID

from hypothesis import given, settings
from hypothesis import strategies as st

from libs.contracts.commands import LONGEST_SHARD, LONGEST_SOURCE
from libs.contracts.cursors import LISTING_BYTES, PollCursor, pack_carried, pack_contents, tells_exactly, unpack_contents
from libs.contracts.topics import CURSORS
from libs.producing.cursors import cursor_record
from libs.producing.fetching import MOST_ROWS
from libs.producing.published import MOST_CARRIED, Published, ShardMemory, content_of

FRAMING = 1_024
"""Bytes that Kafka's own framing of a batch of one record stays below."""

LISTINGS = 6
PAGES = 3

Answer = dict[str, list[tuple[int, int]]]
"""Page -> the (listing, version) pairs on it."""


def tick(version: int) -> bytes:
    return version.to_bytes(16, "big")


class Shards:
    """The shards of a source as the producer keeps them, and all that it published."""

    def __init__(self) -> None:
        self.memories: dict[str, ShardMemory] = {}
        self.published: list[tuple[int, int]] = []

    def poll(self, shard: str, rows: list[tuple[int, int]]) -> None:
        published = Published(self.memories, shard)
        contents = {content_of(str(listing), tick(version)): (listing, version) for listing, version in rows}
        lacking = published.lacking(contents.keys())
        self.published += [row for content, row in contents.items() if content in lacking]
        packed = published.packed(contents.keys())
        assert packed == pack_contents(contents), "what is said again is what would be said anew"
        memory = ShardMemory(frozenset(contents), published.carried_on(frozenset(contents)), packed=packed)
        self.memories.pop(shard, None)
        self.memories[shard] = memory

    def newest_published(self) -> dict[int, int]:
        return dict(self.published)


@st.composite
def answers(draw: st.DrawFn) -> list[tuple[str, list[tuple[int, int]]]]:
    """Polls of pages between which listings move, change, go back to an older version, vanish and return."""
    polls = []
    for _ in range(draw(st.integers(1, 12))):
        page = str(draw(st.integers(1, PAGES)))
        listings = draw(st.lists(st.integers(1, LISTINGS), unique=True, max_size=LISTINGS))
        polls.append((page, [(listing, draw(st.integers(1, 3))) for listing in listings]))
    return polls


@settings(max_examples=100)
@given(answers())
def test_a_listing_of_one_page_ends_with_its_newest_content_whatever_it_had_before(
    polls: list[tuple[str, list[tuple[int, int]]]],
) -> None:
    shards = Shards()
    seen: dict[int, int] = {}
    for _, rows in polls:
        shards.poll("1", rows)
        seen |= dict(rows)
        assert shards.newest_published() == seen


@settings(max_examples=100)
@given(st.lists(st.permutations(range(1, LISTINGS + 1)), min_size=1, max_size=8), st.data())
def test_rows_that_only_change_pages_are_published_once(orders: list[list[int]], data: st.DataObject) -> None:
    """Each run ranks the same contents anew; pages are polled in any order, all between two rankings."""
    shards = Shards()
    for order in orders:
        for page in data.draw(st.permutations(range(PAGES))):
            size = LISTINGS // PAGES
            shards.poll(str(page), [(listing, 1) for listing in order[page * size : (page + 1) * size]])
    assert Counter(shards.published) == Counter({(listing, 1): 1 for listing in range(1, LISTINGS + 1)})


@settings(max_examples=100)
@given(
    st.lists(st.tuples(st.integers(0, PAGES - 1), st.permutations(range(1, LISTINGS + 1))), min_size=1, max_size=12), st.data()
)
def test_growing_versions_always_reach_the_topic_over_shifting_pages(
    polls: list[tuple[int, list[int]]], data: st.DataObject
) -> None:
    """Each poll sees another ranking; a version only grows, as a provider's last_updated does."""
    shards = Shards()
    versions: Counter[int] = Counter()
    size = LISTINGS // PAGES
    for page, order in polls:
        for listing in data.draw(st.lists(st.integers(1, LISTINGS), max_size=3)):
            versions[listing] += 1
        rows = [(listing, versions[listing]) for listing in order[page * size : (page + 1) * size]]
        shards.poll(str(page), rows)
        assert all(shards.newest_published()[listing] == version for listing, version in rows)


def test_a_content_that_comes_back_after_another_is_published_again() -> None:
    shards = Shards()
    for version in (1, 2, 1):
        shards.poll("file", [(1, version)])
    assert shards.published == [(1, 1), (1, 2), (1, 1)]


def test_two_files_that_disagree_about_a_listing_do_not_repeat_themselves() -> None:
    shards = Shards()
    for _ in range(3):
        shards.poll("a", [(1, 1)])
        shards.poll("b", [(1, 2)])
    assert shards.published == [(1, 1), (1, 2)]


def test_the_largest_cursor_fits_into_its_topic() -> None:
    """Ids are hashes: they cannot be compressed."""
    entropy = Random(1)
    contents, carried = ([entropy.randbytes(24) for _ in range(many)] for many in (MOST_ROWS, MOST_CARRIED))
    tick_ids, listings = pack_contents(contents)
    largest = PollCursor(
        source="s" * LONGEST_SOURCE,
        shard="\N{GRINNING FACE}" * LONGEST_SHARD,
        run_id=UUID(int=0),
        polled_at=datetime.max.replace(tzinfo=UTC),
        tick_ids=tick_ids,
        listings=listings,
        carried=pack_carried(carried),
        whole_at=datetime.max.replace(tzinfo=UTC),
    )
    record = cursor_record("cursors", largest)
    assert len(record.key or b"") + len(record.value or b"") + FRAMING < CURSORS.largest_message


def test_two_rows_of_one_listing_in_one_answer_are_both_published_once() -> None:
    shards = Shards()
    for _ in range(3):
        shards.poll("a", [(1, 1), (1, 2)])
    assert shards.published == [(1, 1), (1, 2)]


@given(st.sets(st.integers(0, 2**64), max_size=9), st.integers(0, 2), st.integers(0, 2))
def test_only_a_cursor_that_tells_its_contents_and_nothing_else_is_repeated(ticks: set[int], more: int, unnamed: int) -> None:
    contents = {content_of(str(number), tick(number)) for number in ticks}
    rows = sorted(content[LISTING_BYTES:] + content[:LISTING_BYTES] for content in contents)
    tick_ids = b"".join(row[:16] for row in rows) + more * 16 * b"x"
    listings = b"".join(row[16:] for row in rows)[unnamed * 8 :]
    cursor = PollCursor(
        source="s",
        shard="1",
        run_id=UUID(int=1),
        polled_at=datetime(2026, 3, 1, tzinfo=UTC),
        tick_ids=b64encode(tick_ids).decode(),
        listings=b64encode(listings).decode(),
    )
    whole = more == 0 and (unnamed == 0 or not ticks)
    assert tells_exactly(cursor, len(unpack_contents(cursor))) == whole
    if whole:
        assert (cursor.tick_ids, cursor.listings) == pack_contents(contents)
