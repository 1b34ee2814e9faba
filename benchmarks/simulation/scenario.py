"""A deployment under a load, simulated: who polls how much how often, what works on it, and what came of it."""

import random
from collections.abc import Sequence
from dataclasses import dataclass, field
from itertools import accumulate, pairwise
from typing import Final, NamedTuple

from benchmarks.simulation.constants import Constants
from benchmarks.simulation.engine import Process, Servers, Simulation
from benchmarks.simulation.pipeline import Arrived, Partition, Postgres, Replica, Seen
from benchmarks.simulation.sizing import page_seconds

SLICE_SECONDS: Final = 0.01
"""What arrives within this counts as one: the publishers linger as long."""
GROWING: Final = 0.01
"""Share of what arrives that must be left over for the lag to count as growing."""
BEHIND: Final = 0.05
"""Share of what is due that must not have been sent for the producers to count as late."""
ALONE: Final = 10**6
"""Cores of a machine that nobody waits for."""


@dataclass(frozen=True, slots=True)
class Scenario:
    """The load and the machines. With `shared_cores` all of it, the broker and the readers too, runs on that many cores.

    `at_once` is a backlog that is there at the start instead of polls. `wal_bytes_per_tick` None: records alone.
    """

    listings: int
    every_seconds: float = 1.0
    partitions: int = 6
    replicas: int = 1
    postgreses: int = 1
    postgres_cores: int = 16
    producers: int = 1
    page_rows: int = 250
    seconds: float = 10.0
    chunk_records: int = 5_000
    shared_cores: int | None = None
    readers_requests_per_second: float = 0.0
    at_once: bool = False
    wal_bytes_per_tick: float | None = None
    seed: int = 1

    @property
    def ticks_per_second(self) -> float:
        """What arrives."""
        return self.listings / self.every_seconds


class Outcome(NamedTuple):
    """What came of it. Lag is seconds from a tick's being readable in its topic to its commit, and to its publication."""

    offered_per_second: float
    sent_per_second: float
    applied_per_second: float
    lag_p50_ms: float
    lag_p99_ms: float
    published_p50_ms: float
    published_p99_ms: float
    waiting_ticks: int
    verdict: str
    chunk_ticks: float
    thread_busy: float
    postgres_busy: float
    wal_busy: float


@dataclass(slots=True)
class Deployment:
    """The parts of a scenario."""

    scenario: Scenario
    constants: Constants
    simulation: Simulation = field(default_factory=Simulation)
    partitions: list[Partition] = field(init=False)
    postgreses: list[Postgres] = field(init=False)
    replicas: list[Replica] = field(init=False)
    shared: Servers | None = field(init=False)
    committed: list[Seen] = field(default_factory=list)
    published: list[Seen] = field(default_factory=list)
    sent: int = 0

    def __post_init__(self) -> None:
        asked, sim = self.scenario, self.simulation
        self.shared = Servers(sim, asked.shared_cores) if asked.shared_cores else None
        self.partitions = [Partition() for _ in range(asked.partitions)]
        self.postgreses = [
            Postgres(self.shared or Servers(sim, asked.postgres_cores), Servers(sim, 1)) for _ in range(asked.postgreses)
        ]
        self.replicas = [self._replica(owned) for owned in ranges(asked.partitions, asked.replicas)]

    def _replica(self, owned: range) -> Replica:
        place = owned.start * self.scenario.postgreses // self.scenario.partitions
        return Replica(
            self.simulation,
            self.constants,
            [(number, self.partitions[number]) for number in owned],
            self.postgreses[place],
            Servers(self.simulation, 1),
            self.shared,
            self.scenario.chunk_records,
            (self.scenario.wal_bytes_per_tick or self.constants.wal_record_bytes_per_tick) / self.constants.wal_bytes_per_second,
            self.committed,
            self.published,
        )

    def run(self) -> Outcome:
        """Simulate."""
        spread = _Spread(self, random.Random(self.scenario.seed))  # noqa: S311 - the same each time
        if self.scenario.at_once:
            spread.append(self.scenario.listings)
        else:
            self.simulation.start(self._polls(spread))
        for replica in self.replicas:
            replica.start()
        if self.shared is not None and self.scenario.readers_requests_per_second:
            self.simulation.start(self._readers(self.shared))
        self.simulation.run(self.scenario.seconds)
        return self._outcome()

    def _polls(self, spread: "_Spread") -> Process:
        """Let every producer begin its poll at the same moment, page after page; who is late begins the next one late."""
        asked = self.scenario
        pages = asked.listings / asked.producers / asked.page_rows
        poll_seconds = max(pages * page_seconds(asked.page_rows, self.constants), SLICE_SECONDS)
        began = 0.0
        while True:
            slices = max(1, round(poll_seconds / SLICE_SECONDS))
            marks = [0, *accumulate([asked.listings // slices] * (slices - 1)), asked.listings]
            for before, after in pairwise(marks):
                yield self.simulation.sleep(SLICE_SECONDS)
                spread.append(after - before)
            began = max(began + asked.every_seconds, self.simulation.now)
            yield self.simulation.sleep(began - self.simulation.now)

    def _readers(self, cores: Servers) -> Process:
        while True:
            yield self.simulation.sleep(1 / self.scenario.readers_requests_per_second)
            self.simulation.start(cores.work(self.constants.request_ms / 1e3))

    def _outcome(self) -> Outcome:
        asked, now = self.scenario, max(self.simulation.now, 1e-9)
        half = [seen for seen in self.committed if seen.at > now / 2]
        later = half or self.committed
        applied = sum(seen.ticks for seen in self.committed)
        waiting = self.sent - applied
        since = now / 2 if half and not asked.at_once else 0.0
        speed = sum(seen.ticks for seen in (later if since else self.committed)) / (self._last() - since or 1e-9)
        threads = [replica.thread.busy / self._last() for replica in self.replicas]
        distinct = {id(postgres.cores): postgres.cores for postgres in self.postgreses}.values()
        return Outcome(
            asked.ticks_per_second,
            self.sent / now,
            speed,
            *_percentiles(later),
            *_percentiles([seen for seen in self.published if seen.at > now / 2] or self.published),
            waiting,
            self._verdict(waiting, now),
            chunk_ticks=applied / max(1, sum(replica.transactions for replica in self.replicas)),
            thread_busy=max(threads),
            postgres_busy=max(cores.busy / self._last() / cores.number for cores in distinct),
            wal_busy=max(postgres.wal.busy / self._last() for postgres in self.postgreses),
        )

    def _verdict(self, waiting: int, now: float) -> str:
        """Tell who does not keep up. What waits in good order is what a poll, or a second, brings."""
        asked = self.scenario
        if not asked.at_once and waiting > asked.ticks_per_second * max(1.0, asked.every_seconds) + GROWING * self.sent:
            return "falls behind"
        if not asked.at_once and self.sent < (1 - BEHIND) * asked.ticks_per_second * (now - asked.every_seconds):
            return "producers fall behind"
        return "holds"

    def _last(self) -> float:
        """When the last tick was committed, of a backlog; else now."""
        if self.scenario.at_once and self.committed:
            return self.committed[-1].at
        return max(self.simulation.now, 1e-9)


class _Spread:
    """Spreads arriving ticks over the partitions: each has its own listings, and so its own share, for good."""

    def __init__(self, deployment: Deployment, chance: random.Random) -> None:
        self._deployment = deployment
        counts = [0] * len(deployment.partitions)
        for _ in range(min(deployment.scenario.listings, 100_000)):
            counts[chance.randrange(len(counts))] += 1
        self._shares = [count / sum(counts) for count in counts]
        self._owed = [0.0] * len(counts)

    def append(self, ticks: int) -> None:
        """Give each partition its share; what is less than a tick is owed to the next time."""
        deployment, sent = self._deployment, 0
        for number, share in enumerate(self._shares):
            self._owed[number] += share * ticks
            whole = int(self._owed[number] + 1e-9)
            if whole:
                self._owed[number] -= whole
                deployment.partitions[number].append(Arrived(deployment.simulation.now, whole))
                sent += whole
        deployment.sent += sent
        if deployment.shared is not None and not deployment.scenario.at_once and sent:
            micro = deployment.constants.sending_us(sent / len(deployment.partitions))
            deployment.simulation.start(deployment.shared.work(1e-6 * micro * sent))


def ranges(partitions: int, replicas: int) -> list[range]:
    """Divide the partitions as Kafka's range assignor does; a replica beyond their number gets none and is left out."""
    each, more = divmod(partitions, replicas)
    starts = [number * each + min(number, more) for number in range(replicas + 1)]
    return [range(first, last) for first, last in pairwise(starts) if first < last]


def _percentiles(seen: Sequence[Seen]) -> tuple[float, float]:
    """Return the median and the 99th hundredth, in milliseconds, each tick counted."""
    ordered = sorted((one.seconds, one.ticks) for one in seen)
    total = sum(ticks for _, ticks in ordered)
    found: list[float] = []
    for share in (0.5, 0.99):
        left = share * total
        for seconds, ticks in ordered:
            left -= ticks
            if left <= 0:
                found.append(1e3 * seconds)
                break
        else:
            found.append(float("nan"))
    return found[0], found[1]


def simulate(scenario: Scenario, constants: Constants) -> Outcome:
    """Run a scenario."""
    return Deployment(scenario, constants).run()
