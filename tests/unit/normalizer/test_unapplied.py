"""The oldest unapplied record of a partition is told while it is unapplied; a partition that went and came begins anew."""

from types import SimpleNamespace
from uuid import UUID

from libs.postgres.writing.ticks import SetAside
from libs.streaming.chunks import Chunk
from services.normalizer.unapplied import Unapplied
from tests.integration.writing.conftest import START, tick

PLACE = ("raw", 3)


def chunk(start: int, end: int, *, logged_at_ms: int = 0) -> Chunk:
    records = [SimpleNamespace(offset=offset, timestamp=logged_at_ms + offset) for offset in range(start, end)]
    return Chunk(*PLACE, records, start, end, None)


def test_the_first_record_of_the_first_chunk_that_is_unapplied_is_the_oldest() -> None:
    unapplied = Unapplied()
    unapplied.add(chunk(0, 3, logged_at_ms=1_000), [tick("a", "btc", minute=5), tick("b", "eth", minute=1)])
    unapplied.add(chunk(3, 9, logged_at_ms=2_000), [tick("c", "dai", minute=7)])
    first = unapplied.oldest(PLACE, 0)
    assert first is not None
    assert (first.event_time, first.logged_at_ms) == (START.replace(minute=5), 1_000)
    second = unapplied.oldest(PLACE, 3)
    assert second is not None
    assert (second.event_time, second.logged_at_ms) == (START.replace(minute=7), 2_003)
    assert unapplied.oldest(PLACE, 9) is None
    assert unapplied.oldest(("raw", 4), 0) is None


def test_a_record_that_is_no_tick_has_a_place_in_the_log_and_no_event_time() -> None:
    unapplied = Unapplied()
    unapplied.add(chunk(0, 1, logged_at_ms=1_000), [SetAside(0, UUID(int=1))])
    oldest = unapplied.oldest(PLACE, 0)
    assert oldest is not None
    assert (oldest.event_time, oldest.logged_at_ms) == (None, 1_000)


def test_a_partition_that_went_and_came_begins_anew() -> None:
    unapplied = Unapplied()
    unapplied.add(chunk(0, 100), [tick("a", "btc", minute=1)])
    unapplied.add(chunk(40, 50), [tick("a", "btc", minute=2)])
    oldest = unapplied.oldest(PLACE, 40)
    assert oldest is not None
    assert oldest.event_time == START.replace(minute=2)


def test_a_chunk_of_nothing_but_markers_is_none_to_wait_for() -> None:
    unapplied = Unapplied()
    unapplied.add(chunk(5, 5), [])
    assert unapplied.oldest(PLACE, 0) is None
