"""Whether the normalizer makes progress, judged from what it applies and waits for; a pulse alone would prove nothing.

Waiting in an outage is not dead: a restart would not end it, and would cost the group a rebalance. So an outage makes the
worker unready, and only a worker that has something to apply, waits for nothing, and applies nothing is not live.
"""

import asyncio
from collections import defaultdict
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, Final, Literal

from libs.process.clock import Clock
from libs.process.outages import Outage, OutageBoard
from libs.streaming.checkpoints import Checkpoints
from libs.streaming.progress import Membership, PartitionProgress
from libs.telemetry.serving import Told
from services.normalizer.outlets import Outlets

LOOK_SECONDS: Final = 1.0
ASK_SECONDS: Final = 3.0
"""How long after an answer Postgres and Kafka are asked again; an idle worker would not notice that they are away."""
ANSWER_SECONDS: Final = 5.0
STALLED_SECONDS: Final = 180.0
"""Three times the longest statement: a chunk that Postgres works at is no stall."""
DEPENDENCIES: Final = ("postgres", "kafka")

Status = Literal["starting", "ok", "waiting", "stalled"]
Place = tuple[str, int]


@dataclass(slots=True)
class Health:
    """What is known of a worker. `watch` looks, once a second; `told` answers at once from what that saw."""

    clock: Clock
    board: OutageBoard
    group: str
    stalled_seconds: float
    """So long without progress, with something to apply and nothing to wait for, is stalled."""
    membership: Callable[[], Membership | None] = lambda: None
    phase: str | None = "starting"
    """What the worker does before it consumes; None once it does."""
    committed: Mapping[Place, int] = field(default_factory=dict)
    _commits: dict[Place, datetime] = field(default_factory=dict)
    _moved: dict[Place, tuple[int, float]] = field(default_factory=dict)
    """Where each partition stood when it last moved, or had nothing to do, or an outage was over; and when that was."""
    _outside_since: float | None = None
    """Since when it has been no member of its group though nothing keeps it out."""
    _up_since: dict[str, datetime] = field(default_factory=dict)
    _status: tuple[Status, datetime] | None = None

    async def watch(self) -> None:
        """Look for ever."""
        while True:
            self.look()
            await self.clock.sleep(LOOK_SECONDS)

    def look(self) -> None:
        """Note what has moved since the last look."""
        now, outages = self.clock.monotonic(), {outage.dependency for outage in self.board.outages()}
        held = self.membership()
        partitions = () if held is None else held.partitions
        for each in partitions:
            place = (each.topic, each.partition)
            before = self._moved.get(place)
            if outages or before is None or before[0] != each.applied or not each.unapplied:
                self._moved[place] = (each.applied, now)
        for place in self._moved.keys() - {(each.topic, each.partition) for each in partitions}:
            del self._moved[place]
        outside = held is None and self.phase is None and not outages
        if not outside:
            self._outside_since = None
        elif self._outside_since is None:
            self._outside_since = now
        for name in DEPENDENCIES:
            if name in outages:
                self._up_since.pop(name, None)
            else:
                self._up_since.setdefault(name, self.clock.utc())
        status = self._judged(held, outages=bool(outages))
        if self._status is None or self._status[0] != status:
            self._status = (status, self.clock.utc())

    def note_committed(self, committed: Mapping[Place, int]) -> None:
        """Take the group's committed offsets as Kafka tells them now."""
        for place, offset in committed.items():
            if place in self.committed and offset != self.committed[place]:
                self._commits[place] = self.clock.utc()
        self.committed = committed

    def told(self) -> Told:
        """Return what is to be told now."""
        self.look()
        status, since = self._status or ("starting", self.clock.utc())
        held = self.membership()
        body = {
            "status": status,
            "since": since.isoformat(),
            "seconds": round((self.clock.utc() - since).total_seconds(), 3),
            "phase": self.phase or ("joining the group" if held is None else "consuming"),
            "dependencies": self._dependencies(),
            "group": self.group,
            "member_id": held.member_id if held else None,
            "generation": held.generation if held else None,
            "partitions": [self._partition(one) for one in held.partitions] if held else [],
        }
        return Told(live=status != "stalled", ready=status == "ok", body=body)

    def still_seconds(self, one: PartitionProgress) -> float:
        """Return how long a partition has had something to apply and has not moved."""
        applied, since = self._moved.get((one.topic, one.partition), (one.applied, self.clock.monotonic()))
        still = one.unapplied and applied == one.applied
        return round(self.clock.monotonic() - since, 3) if still else 0.0

    def _judged(self, held: Membership | None, *, outages: bool) -> Status:
        if outages:
            return "waiting"
        still, by_topic = self.clock.monotonic() - self.stalled_seconds, defaultdict[str, list[float]](list)
        if self._outside_since is not None and self._outside_since <= still:
            return "stalled"
        if self.phase is not None or held is None:
            return "starting"
        for one in held.partitions:
            if one.unapplied:
                by_topic[one.topic].append(self._moved[one.topic, one.partition][1])
        # While one partition of a topic moves the others wait for their turn: a fetch is worked through before the next.
        return "stalled" if any(max(since) <= still for since in by_topic.values()) else "ok"

    def _dependencies(self) -> dict[str, Any]:
        outages = {outage.dependency: outage for outage in self.board.outages()}
        return {name: self._dependency(name, outages.get(name)) for name in DEPENDENCIES}

    def _dependency(self, name: str, outage: Outage | None) -> dict[str, Any]:
        if outage is None:
            since = self._up_since.get(name, self.clock.utc())
            seconds, tries, error = round((self.clock.utc() - since).total_seconds(), 3), 0, None
        else:
            since, seconds, tries, error = outage.since, outage.seconds, outage.tries, outage.error
        status = "up" if outage is None else "down"
        return {"status": status, "since": since.isoformat(), "seconds": seconds, "tries": tries, "error": error}

    def _partition(self, one: PartitionProgress) -> dict[str, Any]:
        place = (one.topic, one.partition)
        last = self._commits.get(place)
        return {
            "topic": one.topic,
            "partition": one.partition,
            "applied": one.applied,
            "committed": self.committed.get(place),
            "last_commit_at": last.isoformat() if last else None,
            "log_end": one.log_end,
            "lag_messages": one.unapplied,
            "still_seconds": self.still_seconds(one),
        }


@asynccontextmanager
async def watching(health: Health, outlets: Outlets, checkpoints: Checkpoints) -> AsyncIterator[None]:
    """Keep `health` up to date while the block runs. The checkpoints are asked by nobody else meanwhile."""
    async with asyncio.TaskGroup() as tasks:
        watchers = [
            tasks.create_task(health.watch()),
            tasks.create_task(_ask_postgres(outlets)),
            tasks.create_task(_ask_kafka(outlets, checkpoints, health)),
        ]
        yield
        for watcher in watchers:
            watcher.cancel()


async def _ask_postgres(outlets: Outlets) -> None:
    """Ask for ever whether Postgres answers, so that an idle worker says when it does not."""
    while True:
        await outlets.through_postgres(lambda: outlets.pool.fetchval("SELECT 1", timeout=ANSWER_SECONDS))
        await outlets.clock.sleep(ASK_SECONDS)


async def _ask_kafka(outlets: Outlets, checkpoints: Checkpoints, health: Health) -> None:
    """Ask Kafka for ever for the checkpoints: they tell when a partition was committed last, and that the broker is there."""
    while True:
        health.note_committed(await outlets.through_kafka(checkpoints.committed))
        await outlets.clock.sleep(ASK_SECONDS)
