"""The normalizer's way of a tick as a tandem of queues: partition -> fetch -> read -> lane with Postgres -> publish.

As in services/normalizer/ticks.py, lanes.py and libs/streaming/transport.py: a replica has one thread that reads, stores and
publishes; two lanes store at once, a partition always in the same one, and a transaction takes all that has gathered in its
lane, as much as a chunk may hold; no more is fetched while three full chunks are not acknowledged, of which a small one is a
sixth. Nothing here is Kafka or Postgres: they are what they cost.
"""

from collections import deque
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Final, NamedTuple

from benchmarks.simulation.constants import Constants
from benchmarks.simulation.engine import Process, Queue, Servers, Simulation

LANES: Final = 2
AHEAD: Final = 3.0
LEAST_SHARE: Final = 1 / 6
POLL_SECONDS: Final = 0.005
BUSY_POLL_SECONDS: Final = 0.05
READING, STORING, PUBLISHING = 0.4, 0.4, 0.2
"""Shares of the main thread's work at a tick. Assumed: one thread does all of it, so they move the lag by little, and no limit
at all. What a transaction costs it besides is in the last two, in their proportion."""


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
    """Ticks of one partition that are fetched together; `share` is how much of a full chunk they count as."""

    partition: int
    arrived: Sequence[Arrived]
    ticks: int
    share: float


class Together(NamedTuple):
    """What one transaction stores."""

    arrived: Sequence[Arrived]
    ticks: int
    share: float


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
    ahead: float = 0.0
    transactions: int = 0

    def start(self) -> None:
        """Begin to work."""
        fetched: Queue[Chunk] = Queue(self.simulation, round(AHEAD / LEAST_SHARE) + len(self.partitions))
        lanes = [Queue[Chunk](self.simulation, self.chunk_records, lambda chunk: chunk.ticks) for _ in range(LANES)]
        applied: Queue[Together] = Queue(self.simulation, 1)
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
                    ticks = sum(one.ticks for one in part)
                    chunk = Chunk(number, part, ticks, max(ticks / self.chunk_records, LEAST_SHARE))
                    room -= ticks
                    self.ahead += chunk.share
                    if self.cores is not None:
                        yield from self.cores.work(self._seconds("threads", ticks))
                    yield from fetched.put(chunk)
                if room == 0:
                    break
            yield self.simulation.sleep(POLL_SECONDS)

    def _read(self, fetched: Queue[Chunk], lanes: Sequence[Queue[Chunk]]) -> Process:
        while True:
            chunk = yield from fetched.take()
            yield from self._think(READING * chunk.ticks * self.constants.main_us_per_tick)
            yield from lanes[chunk.partition % LANES].put(chunk)

    def _store(self, lane: Queue[Chunk], applied: Queue[Together]) -> Process:
        while True:
            chunks = yield from lane.take_all()
            ticks = sum(chunk.ticks for chunk in chunks)
            arrived = [one for chunk in chunks for one in chunk.arrived]
            together = Together(arrived, ticks, sum(chunk.share for chunk in chunks))
            yield from self._think(self._transaction_us(ticks, STORING))
            yield from self.postgres.cores.work(self._seconds("postgres", ticks))
            wal_seconds = ticks * self.wal_seconds_per_tick
            yield from self.postgres.wal.work(wal_seconds, turn=wal_seconds)
            yield self.simulation.sleep(self.constants.commit_ms / 1e3)
            self._note(self.committed, together)
            yield from applied.put(together)

    def _publish(self, applied: Queue[Together]) -> Process:
        while True:
            together = yield from applied.take()
            yield from self._think(self._transaction_us(together.ticks, PUBLISHING))
            if self.cores is not None:
                self.simulation.start(self.cores.work(self._seconds("broker", together.ticks)))
            yield self.simulation.sleep(self.constants.acknowledged_ms / 1e3)
            self._note(self.published, together)
            self.ahead -= together.share
            self.transactions += 1

    def _think(self, micro: float) -> Process:
        return self.thread.work(1e-6 * micro, on=self.cores)

    def _transaction_us(self, ticks: int, share: float) -> float:
        """Return what one of the two steps of a transaction costs the main thread."""
        each, transaction = self.constants.main_us_per_tick, self.constants.main_us_per_chunk
        return share * ticks * each + share / (STORING + PUBLISHING) * transaction

    def _seconds(self, who: str, ticks: int) -> float:
        return 1e-6 * self.constants.us(who, ticks)

    def _note(self, seen: list[Seen], together: Together) -> None:
        now = self.simulation.now
        seen.extend(Seen(now, now - one.at, one.ticks) for one in together.arrived)
