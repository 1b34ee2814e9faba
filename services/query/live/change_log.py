"""assets.normalized in memory, compacted as Kafka would: every asset's latest change, and of the last while every change.

A client is a place in this log and nothing more, so what a slow one costs does not grow.

Ids: the changes are in the order in which they were read, in each partition the order of its offsets, and a client gets them in
this order. So the id of a change can be the offsets of all partitions as they were when it was read: of what is below these,
whoever has this change has everything, but for what is superseded by a change that is behind it, and still to come.
"""

from bisect import bisect_right
from collections.abc import Sequence
from dataclasses import dataclass, field

import structlog

from libs.kafka.tailing import TopicRecord
from services.query.live.changes import Change, UnreadableAssetError, change_of, merged
from services.query.live.positions import Position, encode_position

log = structlog.get_logger(__name__)

PROMPT = 1_000
"""So many changes behind, a client still gets every one; beyond, the latest of each asset."""
MOST_HISTORY = 10_000
"""Superseded changes that are kept at least: to count what a slow client was not told, and what it may hold."""
RESUMABLE_MS = 20 * 3_600_000
"""How old a position may be. A tombstone is kept for a day, by Kafka (delete.retention.ms) and here; then nobody knows of it."""
TOMBSTONE_MS = 24 * 3_600_000


class ReadAnewError(Exception):
    """What was read is not what the topic holds: its offsets have gone back, or compaction has removed what was not read yet."""


@dataclass(slots=True)
class ChangeLog:
    """Fed by one task; everybody else reads, between two awaits."""

    partitions: int
    prompt: int = PROMPT
    most_history: int = MOST_HISTORY
    changes: list[Change] = field(default_factory=list)
    """In order of `seq`."""
    end: int = 0
    """The `seq` of the last change."""
    caught_up: tuple[int, ...] = ()
    """The offsets at which the topic had been read to its end: from there on no change has been missed."""
    newest_ms: int = 0
    _latest: dict[str, Change] = field(default_factory=dict)
    _ends: list[int] = field(default_factory=list)
    _history: int = 0

    def __post_init__(self) -> None:
        self._ends = [0] * self.partitions

    @property
    def position(self) -> bytes:
        """Where a client stands that has everything."""
        return encode_position(self.newest_ms, self._ends)

    @property
    def beginning(self) -> bytes:
        """Where a client stands that has nothing."""
        return encode_position(0, [0] * self.partitions)

    @property
    def ends(self) -> Sequence[int]:
        """The next offset of each partition."""
        return self._ends

    @property
    def assets(self) -> int:
        """How many assets there are, and tombstones that are remembered."""
        return len(self._latest)

    def has(self, position: Position) -> bool:
        """Whether everything that a position covers has been read here."""
        return all(end >= offset for end, offset in zip(self._ends, position.offsets, strict=True))

    def note_caught_up(self) -> None:
        """All that was there has been read; what comes now is news."""
        self.caught_up = tuple(self._ends)

    def append(self, record: TopicRecord) -> None:
        """Take a record. Raises ReadAnewError. What is no asset, or older than what is here, moves the position alone.

        Nobody writes to the topic in transactions, so an offset that is missing behind what was there at first was a version
        that a client of another process may have: nobody here could say what is to be told as removed.
        """
        due = self._ends[record.partition]
        if record.offset < due or (self.caught_up and record.offset > due):
            raise ReadAnewError(f"partition {record.partition}: offset {record.offset} came where {due} was due")
        self._ends[record.partition] = record.offset + 1
        self.newest_ms = max(self.newest_ms, record.timestamp_ms)
        try:
            change = change_of(record, self.end + 1, self.position)
        except UnreadableAssetError as error:
            log.warning("asset_unreadable", partition=record.partition, offset=record.offset, error=str(error))
            return
        before = self._latest.get(change.uid)
        if before is not None:
            if before.state is None:
                if change.state is None:
                    return
            elif change.state is not None and change.version <= before.version:  # a chunk that was published twice
                return
            else:
                change.was = (before.state,)
            before.successor = change
            self._history += 1
        self.end = change.seq
        self._latest[change.uid] = change
        self.changes.append(change)
        if self._history > max(self.most_history, len(self._latest)):
            self._compact()

    def first_after(self, seq: int) -> int:
        """Return the index in `changes` of the first one behind a `seq`."""
        return bisect_right(self.changes, seq, key=lambda change: change.seq)

    def place_of(self, position: Position, now_ms: int) -> int | None:
        """Return the last `seq` that a position covers whole; None when nobody can say what it has missed.

        Behind it are also changes that it covers, by their partition's offset.
        """
        if len(position.offsets) != self.partitions:
            return None
        seen, place = position.offsets, self.end
        for change in reversed(self.changes):
            if change.offset >= seen[change.partition]:
                place = change.seq - 1
            elif change.successor is None and change.timestamp_ms > position.newest_ms:
                return None
        has_all = all(offset >= end for offset, end in zip(seen, self._ends, strict=True))
        too_old = position.newest_ms < max(now_ms, self.newest_ms) - RESUMABLE_MS
        return None if too_old and not has_all else place

    def knows_all_since(self, position: Position) -> bool:
        """Whether every change since then was read as it came, and not what compaction had left of them."""
        return all(offset >= known for offset, known in zip(position.offsets, self.caught_up, strict=False))

    def _compact(self) -> None:
        """Drop what is history, but for the last while; whoever is behind it learns from `was` what it may have been told."""
        recent = self.changes[-self.prompt :]
        kept: list[Change] = []
        for change in self.changes[: -self.prompt]:
            if (following := change.successor) is not None:
                if change.was and change.was != following.was:  # which has this change's own state from when it came
                    following.was = merged((*change.was, *following.was))
            elif change.state is None and change.timestamp_ms < self.newest_ms - TOMBSTONE_MS:
                del self._latest[change.uid]
            else:
                kept.append(change)
        self.changes = [*kept, *recent]
        self._history = sum(change.successor is not None for change in recent)
