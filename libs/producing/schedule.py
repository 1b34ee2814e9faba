"""The schedule of a source, kept by whoever owns command partition 0: nobody is elected by hand."""

from dataclasses import dataclass
from datetime import datetime, timedelta
from uuid import uuid4

import structlog

from libs.contracts.commands import WHOLE_SOURCE, PollCommand
from libs.contracts.cursors import ScheduleMark
from libs.contracts.run_events import RunRequested
from libs.domain.runs import Trigger
from libs.process.clock import Clock
from libs.producing.cursors import CursorView
from libs.producing.messages import command_record, event_record
from libs.producing.topics import ProducerTopics
from libs.producing.writing import PartitionWriter, Writing

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


@dataclass(slots=True)
class Schedule:
    """Requests a run each interval. The mark in etl.cursors keeps the period over a change of owner."""

    source: str
    topics: ProducerTopics
    interval: timedelta
    writer: PartitionWriter
    view: CursorView
    start_up: StartUp
    clock: Clock
    wait: timedelta = timedelta(0)
    """How long until it is time again, as of the last decision."""

    async def keep(self) -> None:
        """Request runs for ever."""
        while True:
            if await self.writer.write(self._request_if_due):
                self.start_up.run_requested()
                log.info("run_requested", source=self.source, trigger=Trigger.SCHEDULE.value)
            await self.clock.sleep(self.wait.total_seconds())

    async def _request_if_due(self) -> Writing | None:
        now, mark = self.clock.utc(), self.view.scheduled
        if mark is not None:
            pause = min(self.interval, START_UP_PAUSE) if self.start_up.run_is_due else self.interval
            # A clock that was set back must not stop the schedule for as long as it was wrong.
            self.wait = min(mark.requested_at + pause - now, pause)
            if self.wait > timedelta(0):
                return None
        self.wait = self.interval
        return self._request(now)

    def _request(self, now: datetime) -> Writing:
        run_id = uuid4()
        requested = RunRequested(run_id=run_id, source=self.source, at=now, trigger=Trigger.SCHEDULE)
        command = PollCommand(
            run_id=run_id,
            source=self.source,
            shard=WHOLE_SOURCE,
            trigger=Trigger.SCHEDULE,
            requested_at=now,
            expires_at=now + self.interval,
        )
        return Writing(
            claim=ScheduleMark(source=self.source, requested_at=now),
            records=[event_record(self.topics.run_events.name, requested), command_record(self.topics.commands.name, command)],
        )
