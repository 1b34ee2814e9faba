"""The normalizer's way of a tick as a tandem of queues: partition -> fetch -> read -> lane with Postgres -> publish.

As in services/normalizer/ticks.py and libs/streaming/transport.py, but that small chunks are not stored together and that one
more is ahead: a replica has one thread that reads, stores and publishes; two lanes store at once, a partition always in the
same one; between the steps waits at most one chunk; no more is fetched while four chunks are not acknowledged. Nothing here is
Kafka or Postgres: they are what they cost.
"""

from collections import deque
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Final, NamedTuple

from benchmarks.simulation.constants import Constants
from benchmarks.simulation.engine import Process, Queue, Servers, Simulation

LANES: Final = 2
AHEAD: Final = 4
POLL_SECONDS: Final = 0.005
BUSY_POLL_SECONDS: Final = 0.05
READING, STORING, PUBLISHING = 0.4, 0.4, 0.2
"""Shares of the main thread's work. Assumed: one thread does all of it, so they move the lag by little, and no limit at all."""


class Arrived(NamedTuple):
    """Ticks of one partition that became readable at one time."""

    at: float
    ticks: int


@dataclass(slots=True)
class Partition:
    """A log that is read in order."""

    waiting: deque[Arrived] = field(default_factory=deque)
    ticks: int = 0

    def append(self, arrived: Arrived) -> None:
        """Add to the end."""
        self.waiting.append(arrived)
        self.ticks += arrived.ticks

    def fetch(self, most: int) -> list[Arrived]:
        """Take from the front."""
        taken: list[Arrived] = []
        while most and self.waiting:
            first = self.waiting.popleft()
            part = min(most, first.ticks)
            if part < first.ticks:
                self.waiting.appendleft(Arrived(first.at, first.ticks - part))
            taken.append(Arrived(first.at, part))
            most -= part
            self.ticks -= part
        return taken


class Chunk(NamedTuple):
    """Ticks that are stored together."""

    partition: int
    arrived: Sequence[Arrived]
    ticks: int


class Seen(NamedTuple):
    """Ticks that became visible: when, how long after their arrival, how many."""

    at: float
    seconds: float
    ticks: int


@dataclass(slots=True)
class Postgres:
    """A server: cores, and a disk that takes its write-ahead log."""

    cores: Servers
    wal: Servers


@dataclass(slots=True)
class Replica:
    """One normalizer process. `core` is where its thread runs: None when it has one to itself."""

    simulation: Simulation
    constants: Constants
    partitions: Sequence[tuple[int, Partition]]
    postgres: Postgres
    thread: Servers
    cores: Servers | None
    chunk_records: int
    wal_seconds_per_tick: float
    committed: list[Seen]
    published: list[Seen]
    ahead: int = 0
    chunks: int = 0

    def start(self) -> None:
        """Begin to work."""
        fetched: Queue[Chunk] = Queue(self.simulation, AHEAD + len(self.partitions))
        lanes: list[Queue[Chunk]] = [Queue(self.simulation, 1) for _ in range(LANES)]
        applied: Queue[Chunk] = Queue(self.simulation, 1)
        self.simulation.start(self._fetch(fetched))
        self.simulation.start(self._read(fetched, lanes))
        for lane in lanes:
            self.simulation.start(self._store(lane, applied))
        self.simulation.start(self._publish(applied))

    def _fetch(self, fetched: Queue[Chunk]) -> Process:
        """Ask again and again; the partitions take turns."""
        order = deque(self.partitions)
        while True:
            if self.ahead >= AHEAD:
                yield self.simulation.sleep(BUSY_POLL_SECONDS)
                continue
            room = self.chunk_records
            for _ in range(len(order)):
                number, partition = order[0]
                order.rotate(-1)
                if part := partition.fetch(room):
                    chunk = Chunk(number, part, sum(one.ticks for one in part))
                    room -= chunk.ticks
                    self.ahead += 1
                    if self.cores is not None:
                        yield from self.cores.work(self._micro(chunk, "threads"))
                    yield from fetched.put(chunk)
                if room == 0:
                    break
            yield self.simulation.sleep(POLL_SECONDS)

    def _read(self, fetched: Queue[Chunk], lanes: Sequence[Queue[Chunk]]) -> Process:
        while True:
            chunk = yield from fetched.take()
            yield from self._think(chunk, READING)
            yield from lanes[chunk.partition % LANES].put(chunk)

    def _store(self, lane: Queue[Chunk], applied: Queue[Chunk]) -> Process:
        while True:
            chunk = yield from lane.take()
            yield from self._think(chunk, STORING)
            yield from self.postgres.cores.work(self._micro(chunk, "postgres"))
            wal_seconds = chunk.ticks * self.wal_seconds_per_tick
            yield from self.postgres.wal.work(wal_seconds, turn=wal_seconds)
            yield self.simulation.sleep(self.constants.commit_ms / 1e3)
            self._note(self.committed, chunk)
            yield from applied.put(chunk)

    def _publish(self, applied: Queue[Chunk]) -> Process:
        while True:
            chunk = yield from applied.take()
            yield from self._think(chunk, PUBLISHING)
            if self.cores is not None:
                self.simulation.start(self.cores.work(self._micro(chunk, "broker")))
            yield self.simulation.sleep(self.constants.acknowledged_ms / 1e3)
            self._note(self.published, chunk)
            self.ahead -= 1
            self.chunks += 1

    def _think(self, chunk: Chunk, share: float) -> Process:
        return self.thread.work(share * self._micro(chunk, "main"), on=self.cores)

    def _micro(self, chunk: Chunk, who: str) -> float:
        return 1e-6 * self.constants.us(who, chunk.ticks)

    def _note(self, seen: list[Seen], chunk: Chunk) -> None:
        now = self.simulation.now
        seen.extend(Seen(now, now - one.at, one.ticks) for one in chunk.arrived)
