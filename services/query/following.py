"""Following runs through etl.runs, so that a caller sees the end of a run although Postgres lags behind."""

import asyncio
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any
from uuid import UUID

import structlog
from pydantic import ValidationError

from libs.contracts.run_events import (
    ANOMALIES,
    RUN_EVENT,
    RunEvent,
    RunFailed,
    RunRequested,
    RunSkipped,
    RunStarted,
    RunSucceeded,
    ShardFailed,
    ShardPublished,
)
from libs.domain.runs import RunCounts, RunStatus, Trigger
from libs.kafka.errors import KafkaUnreachableError
from libs.kafka.tailing import Tail
from services.query.problems import BusyError, KafkaUnavailableError
from services.query.views.runs import COUNTS, run_body

log = structlog.get_logger(__name__)

MOST_WATCHED = 500
"""Requests that may wait for a run at once; each holds a connection and the story of one run."""
TAIL_READY_SECONDS = 3.0
TAKEN_WITHIN_SECONDS = 10.0
"""A running producer takes a command in milliseconds; a rebalance needs a few seconds."""


@dataclass(slots=True)
class RunStory:
    """What the events of one run add up to, so far."""

    run_id: UUID
    source: str
    trigger: Trigger
    requested_at: datetime
    status: RunStatus = RunStatus.REQUESTED
    shards: tuple[str, ...] | None = None
    price_moves: str | None = None
    anomalies: str = "[]"
    """Both as JSON, as a row of etl_runs has them."""
    counts: RunCounts = field(default_factory=RunCounts)
    errors: dict[str, str] = field(default_factory=dict)
    reported: set[str] = field(default_factory=set)
    started_at: datetime | None = None
    published_at: datetime | None = None
    finished_at: datetime | None = None
    error: str | None = None

    @property
    def is_taken(self) -> bool:
        """Whether a producer has said anything of it."""
        return self.status is not RunStatus.REQUESTED

    @property
    def waiting_for(self) -> str | None:
        """What has to happen next; None when it is over."""
        match self.status:
            case RunStatus.REQUESTED:
                return "a producer to take it"
            case RunStatus.RUNNING:
                missing = ", ".join(shard for shard in self.shards or () if shard not in self.reported)
                return "the provider's answers, or its quota" + (f": {missing}" if missing else "")
            case RunStatus.PUBLISHED:
                return "the normalizer to store it"
            case _:
                return None

    def tell(self, event: RunEvent) -> None:
        """Add an event; a shard that is reported twice counts once, and nothing follows the end."""
        if self.status.is_terminal:
            return
        match event:
            case RunRequested():
                return
            case RunStarted():
                self.shards, self.started_at = event.shards, event.at
                self._progress(event.at)
            case ShardPublished() | ShardFailed():
                self._tell_shard(event)
                self._progress(event.at)
            case RunSkipped():
                self._end(RunStatus.SKIPPED, event.at, event.reason)
            case RunSucceeded():
                self._end(RunStatus.SUCCEEDED, event.at, None)
                self.price_moves = None if event.price_moves is None else event.price_moves.model_dump_json()
                self.anomalies = ANOMALIES.dump_json(event.anomalies).decode()
                self.counts = RunCounts(**event.totals.model_dump())
            case RunFailed():
                self._end(RunStatus.FAILED, event.at, event.error)
                self.counts = RunCounts(**event.totals.model_dump())

    def body(self) -> dict[str, Any]:
        """Return an AwaitedRunView's content."""
        counts = {name: getattr(self.counts, name) for name in COUNTS}
        row = {name: getattr(self, name) for name in self.__slots__ if name not in {"counts", "errors", "reported"}}
        return run_body(row | counts) | {"waiting_for": self.waiting_for}

    def _tell_shard(self, event: ShardPublished | ShardFailed) -> None:
        if event.shard in self.reported:
            return
        self.reported.add(event.shard)
        if isinstance(event, ShardPublished):
            self.counts += RunCounts(**event.counts.model_dump())
        else:
            self.errors[event.shard] = event.error

    def _progress(self, at: datetime) -> None:
        everything = self.shards is not None and self.reported >= set(self.shards)
        self.status = RunStatus.PUBLISHED if everything else RunStatus.RUNNING
        if everything:
            self.published_at = at
            self.error = "; ".join(f"{shard}: {error}" for shard, error in sorted(self.errors.items())) or None

    def _end(self, status: RunStatus, at: datetime, error: str | None) -> None:
        self.status, self.finished_at, self.error = status, at, error


@dataclass(slots=True)
class Watch:
    """One run that a request waits for."""

    story: RunStory
    news: asyncio.Event = field(default_factory=asyncio.Event)
    leaving: bool = False
    """The service stops: answer with what is known."""

    async def until_taken(self, seconds: float) -> bool:
        """Wait until a producer has said something of the run; False when none does in time."""
        return await self._until(lambda: self.story.is_taken, seconds)

    async def until_finished(self, seconds: float) -> bool:
        """Wait for the end of the run; False when it still goes on then."""
        return await self._until(lambda: self.story.status.is_terminal, seconds)

    async def _until(self, reached: Callable[[], bool], seconds: float) -> bool:
        try:
            async with asyncio.timeout(seconds):
                while not reached() and not self.leaving:
                    self.news.clear()
                    await self.news.wait()
        except TimeoutError:
            return False
        return reached()


class RunFollower:
    """Tells watchers what a tail of etl.runs brings. It remembers nothing of runs that nobody watches."""

    def __init__(self, tail: Tail, *, taken_within_seconds: float) -> None:
        self._tail = tail
        self.taken_within_seconds = taken_within_seconds
        self._watched: dict[bytes, Watch] = {}
        self._leaving = False

    async def follow(self) -> None:
        """Read for ever; outages are waited out."""
        async for records in self._tail:
            for record in records:
                watch = self._watched.get(record.key or b"")
                if watch is None or record.value is None:
                    continue
                try:
                    watch.story.tell(RUN_EVENT.validate_json(record.value))
                except ValidationError as error:
                    log.warning("run_event_unreadable", offset=record.offset, error=str(error.errors(include_input=False)[:1]))
                watch.news.set()

    async def until_ready(self) -> None:
        """Return once what is published from now on will be seen. Raises KafkaUnavailableError."""
        try:
            async with asyncio.timeout(TAIL_READY_SECONDS):
                await self._tail.ready.wait()
        except TimeoutError:
            raise KafkaUnavailableError("Kafka does not answer: the run could not be followed, so it was not asked for") from None

    def release(self) -> None:
        """Let every waiting request answer with what is known, and none wait from now on: the service stops."""
        self._leaving = True
        for watch in self._watched.values():
            watch.leaving = True
            watch.news.set()

    @contextmanager
    def watching(self, story: RunStory) -> Iterator[Watch]:
        """Watch a run from before it is asked for. Raises BusyError when too many are watched already."""
        if len(self._watched) >= MOST_WATCHED:
            raise BusyError(f"{MOST_WATCHED} requests wait for runs already; use /etl/run-background")
        key = str(story.run_id).encode()
        watch = self._watched[key] = Watch(story, leaving=self._leaving)
        try:
            yield watch
        finally:
            del self._watched[key]


def unreachable(error: KafkaUnreachableError) -> KafkaUnavailableError:
    """Tell a caller that Kafka is away."""
    return KafkaUnavailableError(f"Kafka does not answer: {error}")
