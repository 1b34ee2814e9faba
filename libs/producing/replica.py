"""One replica of a source's producer: a member of the group that shares the source's command partitions."""

import asyncio
from dataclasses import dataclass, field
from datetime import timedelta

import structlog
from structlog.contextvars import bound_contextvars

from libs.contracts.topics import producer_group
from libs.kafka.connection import KafkaConnection
from libs.kafka.end_probe import open_end_probe
from libs.kafka.groups import OwnedPartition, work_in_group
from libs.kafka.tailing import Start, open_tail
from libs.kafka.transactions import TransactionalClient
from libs.process.clock import Clock
from libs.producing.cursors import CursorView
from libs.producing.fetching import Fetcher, FetchFailedError, NothingToDo
from libs.producing.health import watching
from libs.producing.polling import Poller
from libs.producing.quota import Budget, KeyQuota, OwnMinute, requests_a_month
from libs.producing.row_contents import RowContents
from libs.producing.schedule import OwnMarks, Schedule, StartUp
from libs.producing.telling import Gauges, Telling, telling_of
from libs.producing.topics import ProducerTopics
from libs.producing.writing import PartitionWriter

log = structlog.get_logger(__name__)

SCHEDULING_PARTITION = 0


@dataclass(frozen=True, slots=True)
class Replica:
    """What a replica is made of. `interval` is None when no runs are scheduled; asked-for runs are made all the same."""

    fetcher: Fetcher
    connection: KafkaConnection
    topics: ProducerTopics
    budget: Budget
    interval: timedelta | None
    clock: Clock
    start_up: StartUp = field(default_factory=StartUp)
    own_marks: OwnMarks = field(default_factory=OwnMarks)
    own_minute: OwnMinute = field(default_factory=OwnMinute)
    contents: RowContents = field(default_factory=RowContents)
    telling: Telling | None = None
    """What it tells of itself, for whoever serves that; None where nobody does."""

    @property
    def source(self) -> str:
        """The source's name."""
        return self.fetcher.source.name

    async def run(self) -> None:
        """Produce for ever."""
        await self._warn_of_the_budget()
        cursors, telling = (
            self.topics.cursors.name,
            self.telling or telling_of(f"producer-{self.source}", self.source, self.clock),
        )
        async with (
            open_tail(self.connection, cursors, start=Start.BEGINNING) as tail,
            open_end_probe(self.connection) as probe,
            open_end_probe(self.connection) as watched,
            watching(telling.health, watched, self.topics.commands.name),
            asyncio.TaskGroup() as tasks,
        ):
            view = CursorView(tail, probe, self.source)
            telling.meters.read_by(Gauges(telling.health, view, self.source, self.budget, self.interval))
            tasks.create_task(view.follow())

            turn = asyncio.Lock()

            async def work(owned: OwnedPartition) -> None:
                await self._work(owned, view, turn, telling)

            group = producer_group(self.source)
            await work_in_group(
                self.connection, group=group, topic=self.topics.commands.name, work=work, on_change=telling.health.joined
            )

    async def _work(self, owned: OwnedPartition, view: CursorView, turn: asyncio.Lock, telling: Telling) -> None:
        """Carry out the commands of one partition, one after another, until it is taken away."""
        self.start_up.joined(alone=owned.alone)
        client = TransactionalClient(self.connection, f"kasparro-{self.source}-{owned.partition}")
        health, cursors = telling.health, self.topics.cursors.name
        writer = PartitionWriter(owned, client, view, cursors=cursors, clock=self.clock, turn=turn, board=health.board)
        activity = health.activity(owned.partition)
        quota = KeyQuota(self.source, owned.partition, self.budget, writer, view, self.clock, self.own_minute, activity)
        poller = Poller(
            *(self.fetcher, self.topics, writer, view, quota, self.clock, self.contents),
            measures=telling.measures,
            activity=activity,
            tracer=telling.tracer,
        )
        try:
            with bound_contextvars(source=self.source, topic=self.topics.commands.name, partition=owned.partition):
                await self._carry_out(owned, poller, writer, view, telling)
        finally:
            await writer.close()

    async def _carry_out(
        self, owned: OwnedPartition, poller: Poller, writer: PartitionWriter, view: CursorView, telling: Telling
    ) -> None:
        async with asyncio.TaskGroup() as tasks:
            if owned.partition == SCHEDULING_PARTITION:
                about = (self.source, self.topics, self.interval, writer, view, self.start_up, self.own_marks, self.clock)
                schedule = Schedule(*about, telling.health, telling.tracer)
                tasks.create_task(schedule.keep())
            while True:
                record = await owned.next_record()
                with bound_contextvars(offset=record.offset):
                    await poller.carry_out(record)

    async def _warn_of_the_budget(self) -> None:
        """Say at the start, with the numbers, what will otherwise be found out in the middle of the month."""
        if self.interval is None or self.budget.per_month is None:
            return
        try:
            shards = await self.fetcher.shards()
        except FetchFailedError:
            return
        if isinstance(shards, NothingToDo):
            return
        needed = requests_a_month(len(shards), self.interval)
        if needed > self.budget.per_month:
            log.warning(
                "quota_will_not_last_the_month",
                source=self.source,
                needed_per_month=needed,
                allowed_per_month=self.budget.per_month,
                interval_seconds=self.interval.total_seconds(),
                lasting_interval_seconds=round(self.interval.total_seconds() * needed / self.budget.per_month) + 1,
            )
