"""How old the oldest record is that has been read and not applied: a chunk tells it by its first record."""

from collections import defaultdict, deque
from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import NamedTuple

from libs.postgres.writing.chunks import Entry
from libs.postgres.writing.ticks import Tick
from libs.streaming.chunks import Chunk

Place = tuple[str, int]


class Oldest(NamedTuple):
    """The first record of a chunk: when it was true (None when it is no tick), and when Kafka took it."""

    end: int
    event_time: datetime | None
    logged_at_ms: int


@dataclass(frozen=True, slots=True)
class Unapplied:
    """The chunks that are being worked at, in order; a handful for each partition that this worker holds."""

    _held: defaultdict[Place, deque[Oldest]] = field(default_factory=lambda: defaultdict(deque))

    def add(self, chunk: Chunk, entries: Sequence[Entry]) -> None:
        """Note a chunk that has been read. One that does not follow the last has come with the partition, which was lost."""
        if not chunk.records:
            return
        held = self._held[chunk.topic, chunk.partition]
        if held and held[-1].end > chunk.start:
            held.clear()
        first = entries[0]
        event_time = first.quote.source_updated_at if isinstance(first, Tick) else None
        held.append(Oldest(chunk.end, event_time, chunk.records[0].timestamp))

    def applied(self, place: Place, position: int) -> None:
        """Forget what stands before a position."""
        held = self._held[place]
        while held and held[0].end <= position:
            held.popleft()

    def oldest(self, place: Place, position: int) -> Oldest | None:
        """Return the oldest from a position on; None when nothing of it has been read yet."""
        self.applied(place, position)
        held = self._held[place]
        return held[0] if held else None
