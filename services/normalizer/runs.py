"""Runs: what etl.runs tells is projected into the tables, and a run ends when its last tick has been applied."""

import asyncio
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any, Final, Protocol
from uuid import UUID

import structlog

from libs.contracts.run_events import RUN_EVENT, RunEvent, RunFailed, RunSucceeded, RunTotals
from libs.kafka.errors import FencedProducerError, KafkaUnreachableError, WedgedProducerError
from libs.kafka.records import Record as Outgoing
from libs.kafka.transactions import TransactionalClient
from libs.postgres.writing.runs import PublishedRun, load_published, project
from libs.streaming.agents import Chunks
from libs.streaming.checkpoints import Checkpoints
from services.normalizer.judging import judge, tell_anomalies
from services.normalizer.outlets import Outlets
from services.normalizer.projecting import Projection

log = structlog.get_logger(__name__)

EAGER_SECONDS: Final = 0.05
"""Between two looks while a run waits for its ticks; doubled up to the longest as long as nothing moves."""
LONGEST_WAIT_SECONDS: Final = 2.0
IDLE_SECONDS: Final = 1.0
"""Between two looks otherwise; a run that becomes published wakes us at once."""
LONGEST_ERROR: Final = 10_000
"""Characters of a run's error, which has one of every shard."""
TRANSACTIONAL_ID: Final = "kasparro-run-ends"
"""Whoever opens it last is the one that ends runs; an owner that was left behind can no longer write."""


PROJECTION: Final[Projection[RunEvent]] = Projection("runs", RUN_EVENT, project, run_of=lambda event: event.run_id)


async def project_runs(chunks: Chunks, outlets: Outlets, projected: asyncio.Event) -> None:
    """Work through etl.runs for ever; sets `projected` after each chunk."""
    await PROJECTION.apply(chunks, outlets, projected.set)


def _joined(errors: Sequence[str]) -> str:
    """Say why a run failed, in a message that its topic takes; each shard's own event says the whole."""
    told = "; ".join(errors)
    if len(told) <= LONGEST_ERROR:
        return told
    return f"{told[:LONGEST_ERROR]} ... ({len(errors)} shards failed)"


def _losses(totals: RunTotals) -> Sequence[str]:
    """Say what is missing where the checkpoint has passed ticks that nobody read: the counts do not add up then."""
    lost = totals.fetched - totals.unchanged - totals.stored - totals.duplicate - totals.dead_lettered
    if lost <= 0:
        return ()
    return (f"{lost} of its ticks were never applied: retention, or an offset reset, took them away unread (see /stats/gaps)",)


class Ownership(Protocol):
    """What this worker holds of etl.runs."""

    def applied(self) -> int | None:
        """Return up to where the topic has been projected, None while another worker owns it."""
        ...

    async def log_end(self) -> int:
        """Return where the topic ends now, what transactions hide included. Raises KafkaUnreachableError."""
        ...

    async def ends(self, topic: str) -> Mapping[int, int]:
        """Return the same for each partition of another topic. Raises KafkaUnreachableError."""
        ...


@dataclass
class RunEnds:
    """Ends runs, while etl.runs is ours: publishes RunSucceeded or RunFailed once the checkpoints have passed a run's ticks.

    The event comes back through the topic and is projected like any other, so that the topic alone tells the story.
    """

    outlets: Outlets
    client: TransactionalClient
    checkpoints: Checkpoints
    ownership: Ownership
    raw_topics: Mapping[str, str]
    runs_topic: str
    projected: asyncio.Event
    _barrier: int = 0
    _ended: set[UUID] = field(default_factory=set)
    _seen: object = None
    """What the last look found; as long as the next finds the same, nothing moves."""
    _wait: float = EAGER_SECONDS

    async def keep_ending(self) -> None:
        """Look for ever, through outages of Kafka and Postgres."""
        while True:
            waiting = False
            try:
                waiting = await self.end_what_is_applied()
            except (FencedProducerError, WedgedProducerError, KafkaUnreachableError) as error:
                log.warning("run_ends_delayed", error=repr(error))
                await self.client.close()
            await self._until_worth_a_look(waiting=waiting)

    async def end_what_is_applied(self) -> bool:
        """End the runs whose ticks are applied; return whether others still wait."""
        if self.ownership.applied() is None:
            await self.client.close()
            return False
        if not self.client.is_open:
            # Whoever ended runs before us can do so no longer; what they did stands before the log's end. That is not where
            # readers of committed records have to stop: an open transaction may hide an end from us, and we wait for it.
            await self.client.open()
            self._barrier = await self.ownership.log_end()
            self._ended.clear()
            self._wait = EAGER_SECONDS
        applied = self.ownership.applied()
        if applied is None or applied < self._barrier:
            return True
        published = await self.outlets.through_postgres(lambda: load_published(self.outlets.pool))
        self._ended &= {run.run_id for run in published}
        waiting = [run for run in published if run.run_id not in self._ended]
        if not waiting:
            return False
        committed = await self.checkpoints.committed()
        done = [run for run in waiting if self._is_applied(run, committed)]
        if done:
            # Counted again: what was applied since the runs were loaded belongs to them too.
            ids = {run.run_id for run in done}
            counted = await self.outlets.through_postgres(lambda: load_published(self.outlets.pool))
            await self._end([run for run in counted if run.run_id in ids])
        elif self._is_still(waiting, committed):
            await self._end(await self._without_ticks(waiting))
        return len(done) < len(waiting)

    def _is_still(self, waiting: Sequence[PublishedRun], committed: Mapping[tuple[str, int], int]) -> bool:
        """Wait longer until the next look if nothing has moved since the last; return whether that is so for long."""
        seen = [run.run_id for run in waiting], committed
        self._wait = min(2 * self._wait, LONGEST_WAIT_SECONDS) if seen == self._seen else EAGER_SECONDS
        self._seen = seen
        return self._wait == LONGEST_WAIT_SECONDS

    async def _without_ticks(self, runs: Sequence[PublishedRun]) -> list[PublishedRun]:
        """Return the runs whose ticks are in no log any more, with that as their error: the topic was made anew."""
        topics = {run.source: self.raw_topics.get(run.source) for run in runs}
        ends = {source: {} if topic is None else await self.ownership.ends(topic) for source, topic in topics.items()}
        gone = [
            run
            for run in runs
            if any(offset >= ends[run.source].get(partition, 0) for partition, offset in run.last_offsets.items())
        ]
        return [replace(run, errors=(*run.errors, "its ticks are gone from their topic")) for run in gone]

    def _is_applied(self, run: PublishedRun, committed: Mapping[tuple[str, int], int]) -> bool:
        topic = self.raw_topics.get(run.source, "")
        return all(committed.get((topic, partition), 0) > offset for partition, offset in run.last_offsets.items())

    async def _end(self, runs: Sequence[PublishedRun]) -> None:
        if not runs:
            return
        ends = [(run, await self._end_of(run)) for run in runs]
        events = [event for _, event in ends]
        async with self.client.transaction() as transaction:
            await transaction.send(
                [Outgoing(self.runs_topic, str(event.run_id).encode(), RUN_EVENT.dump_json(event)) for event in events]
            )
        self._ended |= {event.run_id for event in events}
        for run, event in ends:
            self.outlets.measures.run_ended(run, event)
            log.info("run_ended", run_id=str(event.run_id), source=event.source, status=event.event, **event.totals.model_dump())
            if isinstance(event, RunSucceeded):
                tell_anomalies(event.source, str(event.run_id), event.anomalies)

    async def _end_of(self, run: PublishedRun) -> RunSucceeded | RunFailed:
        about: dict[str, Any] = {"run_id": run.run_id, "source": run.source, "totals": run.totals}
        errors = (*_losses(run.totals), *run.errors)
        if errors:
            return RunFailed(**about, at=self.outlets.clock.utc(), error=_joined(errors))
        moves, anomalies = await judge(self.outlets, run)
        return RunSucceeded(**about, at=self.outlets.clock.utc(), price_moves=moves, anomalies=anomalies)

    async def _until_worth_a_look(self, *, waiting: bool) -> None:
        try:
            async with asyncio.timeout(self._wait if waiting else IDLE_SECONDS):
                await self.projected.wait()
        except TimeoutError:
            return
        self.projected.clear()
