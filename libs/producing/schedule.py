"""The schedule of a source, kept by whoever owns command partition 0: nobody is elected by hand."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from functools import partial
from uuid import UUID, uuid4

import structlog

from libs.contracts.commands import WHOLE_SOURCE, PollCommand
from libs.contracts.cursors import ScheduleMark
from libs.contracts.gaps import RunsMissed, gap_id_of
from libs.contracts.run_events import RunRequested
from libs.contracts.trace_context import context_of_run
from libs.domain.runs import Trigger
from libs.kafka.records import Position, Record
from libs.process.clock import Clock
from libs.producing.clocks import ClockWrongError, check_clock
from libs.producing.cursors import CursorView
from libs.producing.health import ProducerHealth
from libs.producing.messages import command_record, event_record, gap_record
from libs.producing.topics import ProducerTopics
from libs.producing.writing import PartitionWriter, Writing
from libs.telemetry.tracing import UNRECORDED, Tracer

START_UP_PAUSE = timedelta(seconds=30)
"""Shortest time from the last scheduled run to that of a start: what crashes at each start does not poll at each start."""

log = structlog.get_logger(__name__)


class StartUp:
    """Whether a run is due for no other reason than that the source has just been started."""

    def __init__(self) -> None:
        self._due: bool | None = None

    def joined(self, *, alone: bool) -> None:
        """Tell of an assignment: the first decides. Who is not alone then has joined a source that was running already."""
        if self._due is None:
            self._due = alone

    @property
    def run_is_due(self) -> bool:
        """Whether nobody has run since."""
        return bool(self._due)

    def run_requested(self) -> None:
        """Tell that it has been taken care of."""
        self._due = False


class OwnMarks:
    """When marks of this process were composed, by its monotonic clock: of such a one no more time has passed than it saw pass.

    For as long as the process lives, whoever else joins or leaves meanwhile.
    """

    def __init__(self) -> None:
        self._composed: dict[datetime, float] = {}

    def composed(self, counting_from: datetime, monotonic: float, *, there: datetime | None) -> None:
        """Note a mark, which may come to nothing: so the one that is there now (by what it counts from) stays known too."""
        self._composed = {at: began for at, began in self._composed.items() if at == there} | {counting_from: monotonic}

    def __contains__(self, counting_from: datetime) -> bool:
        return counting_from in self._composed

    def elapsed(self, since: datetime, now: datetime, monotonic: float) -> timedelta:
        """Return the time from a mark on, whatever became of the clock."""
        began = self._composed.get(since)
        return now - since if began is None else min(now - since, timedelta(seconds=monotonic - began))


@dataclass(slots=True)
class Schedule:
    """Requests a run each interval, and tells which were missed. The mark in etl.cursors keeps the period over a change of owner.

    `interval` is None when nothing is scheduled; then that is noted, so that what is not made is not missed.
    """

    source: str
    topics: ProducerTopics
    interval: timedelta | None
    writer: PartitionWriter
    view: CursorView
    start_up: StartUp
    own: OwnMarks
    clock: Clock
    health: ProducerHealth
    tracer: Tracer = UNRECORDED
    wait: timedelta = timedelta(0)
    """How long until it is time again, as of the last decision."""
    _requested: UUID | None = None
    """The run that was composed last."""

    async def keep(self) -> None:
        """Request runs for ever; return when none are scheduled."""
        await self.writer.write(self._note_change)
        while self.interval is not None:
            if await self.writer.write(partial(self._request_if_due, self.interval)):
                self.start_up.run_requested()
                self._tell_requested()
            self.health.schedule_sleeps(self.wait.total_seconds())
            await self.clock.sleep(self.wait.total_seconds())

    def _tell_requested(self) -> None:
        """Say it once it is so: a request that was made and not committed was none."""
        run_id = str(self._requested) if self._requested else None
        log.info("run_requested", trigger=Trigger.SCHEDULE.value, run_id=run_id)
        if self._requested is not None:
            attributes = {"kasparro.source": self.source, "kasparro.run_id": str(self._requested)}
            with self.tracer.span("schedule", own=context_of_run(self._requested), attributes=attributes):
                pass

    async def _note_change(self) -> Writing | None:
        """Let what was due by another interval end here, unless a run is about to be requested, which does the same."""
        now, mark = self.clock.utc(), self.view.scheduled
        seconds = None if self.interval is None else self.interval.total_seconds()
        if mark is None or mark.interval_seconds == seconds:
            return None
        if self.interval is not None and self._until_due(mark, self.interval, now) <= timedelta(0):
            return None
        return Writing(
            claims=[mark.model_copy(update={"interval_seconds": seconds, "since": self._counting_from(now)})],
            records=self._missed(mark, now, made=0),
        )

    async def _request_if_due(self, interval: timedelta) -> Writing | None:
        now, mark = self.clock.utc(), self.view.scheduled
        if mark is not None:
            if mark.requested_at in self.own:
                self.start_up.run_requested()  # by us, and the answer to the commit was lost
            self.wait = self._until_due(mark, interval, now)
            if self.wait > timedelta(0):
                return None
        self.wait = interval
        return self._request(interval, mark, now)

    def _until_due(self, mark: ScheduleMark, interval: timedelta, now: datetime) -> timedelta:
        pause = min(interval, START_UP_PAUSE) if self.start_up.run_is_due else interval
        ahead = mark.requested_at - now
        # A clock that was set back must not stop the schedule for as long as it was wrong.
        return timedelta(0) if ahead > pause else ahead + pause

    def _request(self, interval: timedelta, mark: ScheduleMark | None, now: datetime) -> Writing:
        run_id = self._requested = uuid4()
        requested = RunRequested(run_id=run_id, source=self.source, at=now, trigger=Trigger.SCHEDULE)
        command = PollCommand(
            run_id=run_id,
            source=self.source,
            shard=WHOLE_SOURCE,
            trigger=Trigger.SCHEDULE,
            requested_at=now,
            expires_at=now + interval,
        )
        missed = () if mark is None else self._missed(mark, now, made=1)
        self._counting_from(now)

        def told(positions: Sequence[Position]) -> Sequence[Record]:
            """A clock that was wrong from the start knows nothing of what was due meanwhile."""
            try:
                check_clock(positions, now)
            except ClockWrongError as error:
                log.error("clock_wrong", error=str(error))  # noqa: TRY400 - the line says it all
                return ()
            return missed

        return Writing(
            claims=[ScheduleMark(source=self.source, requested_at=now, interval_seconds=interval.total_seconds())],
            records=[
                event_record(self.topics.run_events.name, requested),
                command_record(self.topics.commands.name, command),
            ],
            then=told,
        )

    def _missed(self, mark: ScheduleMark, now: datetime, *, made: int) -> Sequence[Record]:
        """Return the record of the runs that were due by the mark's interval and not made; one made now stands for the last."""
        if mark.interval_seconds is None:
            return ()
        interval, since = timedelta(seconds=mark.interval_seconds), mark.since or mark.requested_at
        runs = self.own.elapsed(since, now, self.clock.monotonic()) // interval - made
        if runs < 1:
            return ()
        first, last = since + interval, since + runs * interval
        gap = RunsMissed(
            gap_id=gap_id_of("runs_missed", self.source, first, last),
            source=self.source,
            found_at=now,
            first_due=first,
            last_due=last,
            runs=runs,
            interval_seconds=mark.interval_seconds,
        )
        log.warning("runs_missed", runs=runs, first_due=str(first), last_due=str(last))
        return (gap_record(self.topics.gaps.name, gap),)

    def _counting_from(self, now: datetime) -> datetime:
        mark = self.view.scheduled
        self.own.composed(now, self.clock.monotonic(), there=None if mark is None else mark.since or mark.requested_at)
        return now
