"""Chunks that have been read, on their way into the database: those that wait together are stored together.

So a chunk that comes alone is stored at once, and when many small ones come (a source's page is spread over its partitions)
a transaction takes all that gathered during the one before.
"""

import asyncio
from collections import deque
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import NamedTuple
from uuid import UUID

from libs.contracts.trace_context import TraceContext
from libs.postgres.writing.chunks import Entry
from libs.postgres.writing.ticks import Tick
from libs.streaming.chunks import Chunk
from services.normalizer.inlets import Inlet


@dataclass(frozen=True, slots=True)
class Most:
    """How much is stored in one transaction, unless one record alone is larger."""

    records: int
    bytes: int

    def holds(self, chunks: Sequence[Chunk]) -> bool:
        """Whether they fit into one transaction together."""
        return sum(map(len, chunks)) <= self.records and sum(chunk.size for chunk in chunks) <= self.bytes


class Read(NamedTuple):
    """A chunk whose rejected records are in the dead letters, by the monotonic clock: when the work at it began, and was done.

    `traces`: those of the runs whose ticks it holds. `runs`: those that its records are of, for the log.
    """

    chunk: Chunk
    inlet: Inlet
    entries: Sequence[Entry]
    started: float
    done: float
    traces: Mapping[UUID, TraceContext]
    runs: frozenset[UUID] = frozenset()


def runs_in(entries: Sequence[Entry]) -> frozenset[UUID]:
    """Return the runs that the entries are of."""
    runs = (entry.quote.run_id if isinstance(entry, Tick) else entry.run_id for entry in entries)
    return frozenset({run.int: run for run in runs if run is not None}.values())


@dataclass(slots=True)
class Lane:
    """A queue of some partitions' chunks that holds as much as one transaction, or a single larger chunk."""

    most: Most
    _waiting: deque[Read] = field(default_factory=deque)
    _changed: asyncio.Condition = field(default_factory=asyncio.Condition)

    async def put(self, read: Read) -> None:
        """Wait until there is room, then queue up."""
        async with self._changed:
            await self._changed.wait_for(lambda: not self._waiting or self.most.holds([*self._chunks(), read.chunk]))
            self._waiting.append(read)
            self._changed.notify_all()

    async def take(self) -> Sequence[Read]:
        """Wait for a chunk; return it, and what else of its topic has come meanwhile, in the order in which it came."""
        async with self._changed:
            await self._changed.wait_for(lambda: self._waiting)
            topic = self._waiting[0].chunk.topic
            together = [read for read in self._waiting if read.chunk.topic == topic]
            self._waiting = deque(read for read in self._waiting if read.chunk.topic != topic)
            self._changed.notify_all()
            return together

    def _chunks(self) -> Sequence[Chunk]:
        return [read.chunk for read in self._waiting]
