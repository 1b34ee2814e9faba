"""Whether a producer makes progress, judged from what it does with its commands and what it waits for.

Waiting is not dead: for Kafka, which a restart would not bring back, or for the provider's quota, which is what it is there for.
A producer is not live when a command of its own, or its schedule, stands still though nothing keeps it, or when it has been
outside its group as long though Kafka answers.
"""

import asyncio
from collections.abc import AsyncIterator, Iterator, Sequence
from contextlib import asynccontextmanager, contextmanager
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any, Final, Literal

from libs.kafka.end_probe import EndProbe
from libs.kafka.errors import WedgedProducerError, is_outage
from libs.process.clock import Clock, SystemClock
from libs.process.outages import OutageBoard, wait_out
from libs.telemetry.serving import Told

LOOK_SECONDS: Final = 1.0
ASK_SECONDS: Final = 3.0
"""How long after an answer Kafka is asked again; an idle producer would not notice that it is away."""
LONGEST_WAIT: Final = timedelta(seconds=10)
STALLED_SECONDS: Final = 180.0
"""More than twice the longest step that gets no answer: catching up behind a transaction that a dead replica left open."""
KAFKA: Final = "kafka"

Status = Literal["starting", "ok", "waiting", "stalled"]


@dataclass(slots=True)
class Activity:
    """What is being done with the commands of one partition. `moved`: when it last went on, by the monotonic clock."""

    partition: int
    clock: Clock
    offset: int | None = None
    """Of the command in hand; None while there is none."""
    since: datetime | None = None
    moved: float = 0.0

    @contextmanager
    def carrying_out(self, offset: int) -> Iterator[None]:
        """Have a command in hand while the block runs."""
        self.offset, self.since = offset, self.clock.utc()
        self.go_on()
        try:
            yield
        finally:
            self.offset = self.since = None

    def go_on(self, *, waiting_seconds: float = 0.0) -> None:
        """Note that it goes on, or that it will when the quota allows it."""
        self.moved = self.clock.monotonic() + waiting_seconds


@dataclass(slots=True)
class ProducerHealth:
    """What is known of a replica. `watch` looks, once a second; `told` answers at once."""

    clock: Clock
    board: OutageBoard
    stalled_seconds: float = STALLED_SECONDS
    partitions: Sequence[int] | None = None
    """What of the commands is ours; None while this is no member of its group."""
    _activities: dict[int, Activity] = field(default_factory=dict)
    _due: float | None = None
    """When the schedule looks again, by the monotonic clock."""
    _outside_since: float | None = None
    _well_since: float = float("-inf")
    """Since when there is no outage: nothing is still for longer than that."""
    _status: tuple[Status, datetime] | None = None

    def joined(self, partitions: Sequence[int] | None) -> None:
        """Note an assignment, or with None that there is none."""
        self.partitions = partitions
        self._activities.clear()
        self._due = None

    def activity(self, partition: int) -> Activity:
        """Return where to tell what is done with a partition's commands."""
        activity = self._activities[partition] = Activity(partition, self.clock, moved=self.clock.monotonic())
        return activity

    def schedule_sleeps(self, seconds: float) -> None:
        """Note when the schedule will look again."""
        self._due = self.clock.monotonic() + seconds

    async def watch(self) -> None:
        """Look for ever."""
        while True:
            self.look()
            await asyncio.sleep(LOOK_SECONDS)  # not by `clock`: whoever only watches moves none

    def look(self) -> Status:
        """Judge now."""
        now, away = self.clock.monotonic(), bool(self.board.outages())
        if away:
            self._well_since = now
        if self.partitions is not None:
            self._outside_since = None
        elif away or self._outside_since is None:
            self._outside_since = now
        status = self._judged(now, away=away)
        if self._status is None or self._status[0] != status:
            self._status = (status, self.clock.utc())
        return status

    def told(self) -> Told:
        """Return what is to be told now."""
        status = self.look()
        since = self._status[1] if self._status else self.clock.utc()
        body = {
            "status": status,
            "since": since.isoformat(),
            "seconds": round((self.clock.utc() - since).total_seconds(), 3),
            "phase": "joining the group" if self.partitions is None else "producing",
            "dependencies": {KAFKA: self._kafka()},
            "partitions": list(self.partitions or ()),
            "commands": [self._command(one) for one in self._activities.values() if one.since is not None],
            "schedule_looks_in_seconds": None if self._due is None else round(self._due - self.clock.monotonic(), 3),
        }
        return Told(live=status != "stalled", ready=status == "ok", body=body)

    def _judged(self, now: float, *, away: bool) -> Status:
        if away:
            return "waiting"
        still = now - self.stalled_seconds
        moved = [one.moved for one in self._activities.values() if one.offset is not None]
        awaited = [
            *moved,
            *([self._due] if self._due is not None else []),
            *([self._outside_since] if self._outside_since else []),
        ]
        if any(max(since, self._well_since) <= still for since in awaited):
            return "stalled"
        return "starting" if self.partitions is None else "ok"

    def _kafka(self) -> dict[str, Any]:
        for outage in self.board.outages():
            told = {"since": outage.since.isoformat(), "seconds": outage.seconds, "tries": outage.tries, "error": outage.error}
            return {"status": "down", **told}
        return {"status": "up"}

    def _command(self, one: Activity) -> dict[str, Any]:
        still = max(0.0, self.clock.monotonic() - one.moved)
        return {
            "partition": one.partition,
            "offset": one.offset,
            "since": one.since.isoformat() if one.since else None,
            "still_seconds": round(still, 3),
        }


@asynccontextmanager
async def watching(health: ProducerHealth, probe: EndProbe, topic: str) -> AsyncIterator[None]:
    """Keep `health` up to date while the block runs, asking Kafka now and then. The probe is asked by nobody else."""
    async with asyncio.TaskGroup() as tasks:
        watchers = [tasks.create_task(health.watch()), tasks.create_task(_ask_kafka(health, probe, topic))]
        try:
            yield
        finally:
            for watcher in watchers:
                watcher.cancel()


async def _ask_kafka(health: ProducerHealth, probe: EndProbe, topic: str) -> None:
    while True:
        await wait_out(
            lambda: probe.ends(topic),
            _keeps_from_asking,
            dependency=KAFKA,
            clock=SystemClock(),
            ceiling=LONGEST_WAIT,
            board=health.board,
        )
        await asyncio.sleep(ASK_SECONDS)


def _keeps_from_asking(error: BaseException) -> bool:
    """Whether another connection can help, which the probe opens: what only looks must not end the producer."""
    return is_outage(error) or isinstance(error, WedgedProducerError)
