"""What a producer does with a command: plan a run, or poll one shard of it."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from functools import partial

import structlog
from pydantic import ValidationError
from structlog.contextvars import bound_contextvars

from libs.contracts.commands import WHOLE_SOURCE, PollCommand
from libs.contracts.cursors import PollCursor
from libs.contracts.dead_letters import Origin, dead_letter_headers
from libs.contracts.run_events import (
    LONGEST_ERROR,
    FieldDrifted,
    RunEvent,
    RunSkipped,
    RunStarted,
    ShardFailed,
    ShardPublished,
)
from libs.contracts.trace_context import TraceContext, context_in, context_of_run, trace_fields
from libs.domain.rejections import Reason, Rejection
from libs.kafka.errors import RecordsRefusedError
from libs.kafka.records import Position, Record
from libs.kafka.tailing import TopicRecord
from libs.kafka.transactions import TransactionExpiredError
from libs.process.clock import Clock
from libs.producing.aside import worked_on
from libs.producing.clocks import ClockWrongError, check_clock
from libs.producing.cursors import CursorView, forgotten
from libs.producing.drift import shape_cursor, tell_drift
from libs.producing.fetching import MOST_ROWS, Answer, Fetcher, FetchFailedError, NothingToDo
from libs.producing.health import Activity
from libs.producing.measures import Measures
from libs.producing.messages import command_record, event_record
from libs.producing.publication import STAGE, News, read_answer
from libs.producing.quota import KeyQuota
from libs.producing.row_contents import RowContents
from libs.producing.topics import ProducerTopics
from libs.producing.writing import PartitionWriter, Writing
from libs.telemetry.tracing import UNRECORDED, Tracer

log = structlog.get_logger(__name__)


@dataclass(frozen=True, slots=True)
class Poller:
    """Carries out the commands of one partition, each in one transaction with its offset."""

    fetcher: Fetcher
    topics: ProducerTopics
    writer: PartitionWriter
    view: CursorView
    quota: KeyQuota
    clock: Clock
    contents: RowContents
    measures: Measures
    activity: Activity
    tracer: Tracer = UNRECORDED

    async def carry_out(self, record: TopicRecord) -> None:
        """Carry out a command; when this returns, its offset has been committed."""
        with self.activity.carrying_out(record.offset):
            await self._carry_out(record)

    async def _carry_out(self, record: TopicRecord) -> None:
        command = _command_in(record, self.fetcher.source.name)
        if isinstance(command, Rejection):
            await self._set_aside(record, command)
            return
        parent = context_in(record.headers) or context_of_run(command.run_id)
        attributes = {"kasparro.source": command.source, "kasparro.run_id": str(command.run_id), "kasparro.shard": command.shard}
        name, carry_out = ("plan", self._plan) if command.shard == WHOLE_SOURCE else ("poll", self._poll)
        with (
            bound_contextvars(run_id=str(command.run_id), shard=command.shard, trigger=command.trigger.value),
            self.tracer.span(name, parent=parent, attributes=attributes) as trace,
            bound_contextvars(**trace_fields(trace, command.run_id)),
        ):
            await carry_out(command, record, trace)

    async def _plan(self, command: PollCommand, record: TopicRecord, trace: TraceContext) -> None:
        shards: Sequence[str] | NothingToDo
        try:
            shards = NothingToDo(_expired(command)) if self._is_expired(command) else await self.fetcher.shards()
        except FetchFailedError as error:
            log.warning("run_not_planned", error=str(error))
            await self._tell(record, self._started(command, [WHOLE_SOURCE]), self._failed(command, str(error)))
            return
        if isinstance(shards, NothingToDo):
            self.measures.run_skipped(command.trigger)
            log.info("run_skipped", reason=shards.reason)
            await self._tell(record, self._skipped(command, shards.reason))
            return
        planned = list(dict.fromkeys(shards))

        async def compose() -> Writing:
            gone = [shard for shard in self.view.shards if shard not in planned]
            tombstones = [forgotten(self.topics.cursors.name, command.source, shard) for shard in gone]
            commands = [
                command_record(self.topics.commands.name, command.model_copy(update={"shard": shard}), trace) for shard in planned
            ]
            return Writing(records=[*tombstones, self._event(self._started(command, planned)), *commands])

        try:
            await self.writer.write(compose, command=record)
        except (RecordsRefusedError, TransactionExpiredError) as error:
            log.warning("run_not_planned", error=str(error), shards=len(planned))
            await self._tell(record, self._started(command, [WHOLE_SOURCE]), self._failed(command, str(error)))
        else:
            log.info("run_planned", shards=len(planned))

    async def _poll(self, command: PollCommand, record: TopicRecord, trace: TraceContext) -> None:
        begun = self.clock.monotonic()
        try:
            with self.measures.stage("fetch"), self.tracer.span("fetch", parent=trace):
                answer = await self._fetched(command)
        except FetchFailedError as error:
            self.measures.shard_failed()
            log.warning("shard_failed", error=str(error))
            await self._tell(record, self._failed(command, str(error)))
            return
        self.activity.go_on()
        of_what = (self.fetcher.source, self.topics, command.run_id, command.shard)
        read = await worked_on(answer, partial(read_answer, *of_what, answer, contents=self.contents, trace=trace))
        composed: list[News] = []

        async def compose() -> Writing:
            cursor, news = await worked_on(answer, partial(read.against, self.view.published(command.shard), self.view.shape))
            composed.append(news)
            return self._publication(command, cursor, news)

        try:
            with self.measures.stage("publish"), self.tracer.span("transaction", parent=trace):
                written = await self.writer.write(compose, command=record)
        except (RecordsRefusedError, TransactionExpiredError, ClockWrongError) as error:
            self.measures.shard_failed()
            log.warning("shard_failed", error=str(error))
            at = error.broker_time if isinstance(error, ClockWrongError) else self._now()
            await self._tell(record, self._failed(command, str(error), at=at))
            return
        if written:
            duration_ms = round(1000 * (self.clock.monotonic() - begun))
            self.measures.shard_published(composed[-1].counts, composed[-1].rejected)
            log.info("shard_published", **composed[-1].counts.model_dump(), duration_ms=duration_ms)
            self.measures.drifted(composed[-1].found.drift)
            tell_drift(log, composed[-1].found.drift)

    async def _fetched(self, command: PollCommand) -> Answer:
        if self._is_expired(command):
            raise FetchFailedError(_expired(command))
        answer = await self.fetcher.fetch(command.shard, self.quota.permit(command.expires_at))
        if len(answer.rows) > MOST_ROWS:
            raise FetchFailedError(f"the answer has {len(answer.rows)} rows, at most {MOST_ROWS}: divide it")
        return answer

    def _publication(self, command: PollCommand, cursor: PollCursor, news: News) -> Writing:
        def published(positions: Sequence[Position]) -> Sequence[Record]:
            check_clock(positions[: len(news.ticks)], self._now())
            event = ShardPublished(
                run_id=command.run_id,
                source=command.source,
                at=self._now(),
                shard=command.shard,
                counts=news.counts,
                last_offsets=news.last_offsets(positions),
                drift=tuple(FieldDrifted(**one._asdict()) for one in news.found.drift),
            )
            return [self._event(event)]

        # What is known of the source's fields is first: who claims between the two knows then that it has been overtaken.
        known = () if news.found.known is None else [shape_cursor(self.fetcher.source.name, news.found.known)]
        records = [*news.ticks, *news.dead_letters]
        return Writing([*known, cursor], records, then=published, then_topics=[self.topics.run_events.name])

    async def _set_aside(self, record: TopicRecord, rejection: Rejection) -> None:
        """A command that nobody can carry out: somebody else's bytes in our topic."""
        origin = Origin(record.topic, record.partition, record.offset)
        source = self.fetcher.source.name
        headers = dead_letter_headers(rejection, origin, stage=STAGE, source=source, run_id=None, original=record.headers)
        dead_letter = Record(self.topics.dead_letters.name, record.key, record.value, headers)
        log.warning("command_dead_lettered", reason=rejection.reason.value)
        log.debug("command_rejected", detail=rejection.detail)
        await self._write(record, dead_letter)
        self.measures.set_aside([rejection.reason])

    async def _tell(self, record: TopicRecord, *events: RunEvent) -> None:
        await self._write(record, *map(self._event, events))

    async def _write(self, command: TopicRecord, *records: Record) -> None:
        async def compose() -> Writing:
            return Writing(records=records)

        await self.writer.write(compose, command=command)

    def _event(self, event: RunEvent) -> Record:
        return event_record(self.topics.run_events.name, event)

    def _started(self, command: PollCommand, shards: Sequence[str]) -> RunStarted:
        return RunStarted(
            run_id=command.run_id, source=command.source, at=self._now(), trigger=command.trigger, shards=tuple(shards)
        )

    def _failed(self, command: PollCommand, error: str, *, at: datetime | None = None) -> ShardFailed:
        words = error[:LONGEST_ERROR]
        return ShardFailed(run_id=command.run_id, source=command.source, at=at or self._now(), shard=command.shard, error=words)

    def _skipped(self, command: PollCommand, reason: str) -> RunSkipped:
        return RunSkipped(
            run_id=command.run_id, source=command.source, at=self._now(), trigger=command.trigger, reason=reason[:LONGEST_ERROR]
        )

    def _is_expired(self, command: PollCommand) -> bool:
        return self._now() >= command.expires_at

    def _now(self) -> datetime:
        return self.clock.utc()


def _command_in(record: TopicRecord, source: str) -> PollCommand | Rejection:
    if record.value is None:
        return Rejection(Reason.WRONG_SHAPE, "a command without a value")
    try:
        command = PollCommand.model_validate_json(record.value)
    except ValidationError as error:
        return Rejection(Reason.UNDECODABLE, f"not a PollCommand: {error.errors(include_url=False)[0]['msg']}")
    if command.source != source:
        return Rejection(Reason.IDENTITY_MISMATCH, f"a command for {command.source} among those for {source}")
    return command


def _expired(command: PollCommand) -> str:
    return f"expired: asked for at {command.requested_at:%Y-%m-%d %H:%M:%S} UTC, and no use after {command.expires_at:%H:%M:%S}"
