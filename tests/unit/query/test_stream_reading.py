"""What a client that comes from another process is told, and is not: the cases that the model meets too seldom."""

from libs.kafka.tailing import TopicRecord
from services.query.live.change_log import ChangeLog
from services.query.live.positions import Position
from services.query.live.reading import Held, Reader
from services.query.live.wanted import Wanted
from tests.unit.query.test_stream_model import asset


def record(offset: int, uid: str, version: int, rank: int) -> TopicRecord:
    return TopicRecord("assets", 0, offset, uid.encode(), asset(uid, version, "csv", rank), (), 1_000 + offset)


def told(reader: Reader) -> list[tuple[str, int, bool]]:
    return [(change.uid, change.version, fits) for change, fits in reader.take().told]


def test_what_it_has_seen_from_a_process_that_was_ahead_is_not_told_again_in_an_older_version() -> None:
    log = ChangeLog(1)
    log.append(record(0, "a0", 1, 1))
    log.note_caught_up()
    position = Position(1_002, (3,))
    place = log.place_of(position, 1_002)
    assert place is not None
    reader = Reader(log, Wanted(), place, Held.ANYTHING, position)
    for offset in (1, 2, 3):
        log.append(record(offset, "a0", offset + 1, 1))
    assert told(reader) == [("a0", 4, True)]


def test_what_it_may_hold_by_what_nobody_here_knows_is_told_as_removed() -> None:
    log = ChangeLog(1)
    log.append(record(5, "a0", 6, 90))  # what it was before, compaction has removed
    log.note_caught_up()
    position = Position(1_004, (5,))
    place = log.place_of(position, 1_005)
    assert place is not None
    assert not log.knows_all_since(position)
    assert told(Reader(log, Wanted(top=10), place, Held.ANYTHING, position)) == [("a0", 6, False)]
    assert told(Reader(log, Wanted(top=10), 0)) == [], "one that holds nothing needs to be told of nothing"


def test_a_slow_client_is_told_as_removed_what_it_had_before_changes_that_the_log_has_dropped() -> None:
    log = ChangeLog(1, prompt=1, most_history=1)
    log.append(record(0, "a0", 1, 5))
    reader = Reader(log, Wanted(top=10), 0)
    assert told(reader) == [("a0", 1, True)]
    for offset, rank in enumerate((50, 60, 70, 80), 1):
        log.append(record(offset, "a0", offset + 1, rank))
    assert [change.version for change in log.changes] == [5], "the others it has dropped"
    assert told(reader) == [("a0", 5, False)]
