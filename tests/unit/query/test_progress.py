"""Idle, moving, stalled, unknown: judged from checkpoints as they are seen one look after another."""

from typing import Any

from libs.kafka.lag import PartitionLag
from libs.process.clock import SystemClock
from services.query.progress import ProgressBoard

STALLED = 60.0


class Stopped(SystemClock):
    """A clock that stands until it is moved."""

    now = 0.0

    def monotonic(self) -> float:
        return self.now


def lag(committed: int | None, messages: int, partition: int = 0) -> PartitionLag:
    return PartitionLag("t", partition, committed, 0, (committed or 0) + messages, messages, 0.0, 0.0)


def board() -> tuple[ProgressBoard, Stopped]:
    clock = Stopped()
    nobody: Any = None  # what reads is not asked here
    return ProgressBoard(nobody, "g", ["t"], STALLED, clock), clock


def test_a_consumer_that_has_nothing_to_read_is_idle_for_ever() -> None:
    watched, clock = board()
    for clock.now in (0.0, 1_000.0):
        watched.note([lag(7, 0)])
        assert watched.of(lag(7, 0)).status == "idle"


def test_one_that_commits_nothing_of_what_there_is_has_stalled_after_so_long() -> None:
    watched, clock = board()
    watched.note([lag(7, 0)])
    clock.now = 59.0
    watched.note([lag(7, 5)])
    assert watched.of(lag(7, 5)).status == "moving"
    clock.now = 61.0
    judged = watched.of(lag(7, 9))
    assert (judged.status, judged.still_seconds, judged.lag_grew) == ("stalled", 61.0, True)


def test_it_counts_from_when_there_was_something_to_read() -> None:
    watched, clock = board()
    for clock.now in (0.0, 500.0):
        watched.note([lag(7, 0)])
    watched.note([lag(7, 3)])
    assert watched.of(lag(7, 3)).status == "moving"


def test_a_commit_however_small_is_progress() -> None:
    watched, clock = board()
    for step in range(10):
        clock.now = 50.0 * step
        watched.note([lag(step, 100)])
        assert watched.of(lag(step, 100)).status != "stalled"


def test_what_was_never_seen_to_move_is_unknown_until_it_has_stood_for_so_long() -> None:
    watched, clock = board()
    watched.note([lag(None, 5)])
    assert watched.of(lag(None, 5)).status == "unknown"
    clock.now = STALLED
    assert watched.of(lag(None, 5)).status == "stalled"


def test_the_worst_partition_speaks_for_all() -> None:
    watched, clock = board()
    watched.note([lag(1, 0), lag(1, 4, partition=1)])
    clock.now = STALLED
    assert watched.of_all([lag(1, 0), lag(1, 4, partition=1)]).status == "stalled"
    assert watched.of_all([]).status == "unknown"
