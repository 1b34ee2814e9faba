"""Working through a topic as a member of a consumer group: one task a partition, for as long as it is ours."""

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass

import structlog
from aiokafka import AIOKafkaConsumer, ConsumerRebalanceListener, TopicPartition
from aiokafka.coordinator.assignors.range import RangePartitionAssignor

from libs.kafka.clients import OFFSETS_SECONDS, close_consumer, partitions_of_topic
from libs.kafka.connection import KafkaConnection
from libs.kafka.decoding import read_any_header_name
from libs.kafka.errors import KafkaUnreachableError, is_outage, telling_outages
from libs.kafka.tailing import RETRY_SECONDS, TopicRecord, topic_record

log = structlog.get_logger(__name__)

SESSION_MS = 10_000
"""A dead member's partitions are somebody else's after this."""
HEARTBEAT_MS = 3_000
LONGEST_WORK_MS = 6 * 3_600_000
"""A record may wait for a provider's Retry-After; the heartbeat, not the pace of the work, says that we live."""
FETCH_WAIT_MS = 100
"""One request serves all partitions of a broker, so a record for one waits while the fetch for the others is held."""
POLL_SECONDS = 5.0
LEAVE_SECONDS = 10.0
LOOK_SECONDS = 1.0


@dataclass(frozen=True, slots=True)
class OwnedPartition:
    """A partition of the topic while it is ours. `alone` says that no other member has any partition."""

    topic: str
    partition: int
    group: str
    alone: bool
    _consumer: AIOKafkaConsumer

    async def next_record(self) -> TopicRecord:
        """Wait for the next committed record, through outages; it is given again to the next owner until it is committed."""
        place = TopicPartition(self.topic, self.partition)
        while True:
            try:
                with telling_outages():
                    fetched = await self._consumer.getmany(place, timeout_ms=int(POLL_SECONDS * 1000), max_records=1)
            except KafkaUnreachableError as error:
                log.warning("fetch_failed", topic=self.topic, partition=self.partition, error=str(error))
                await asyncio.sleep(RETRY_SECONDS)
                continue
            for record in fetched.get(place, ()):
                return topic_record(record)

    async def committed_offset(self) -> int:
        """Return where the group goes on in this partition. Raises KafkaUnreachableError."""
        with telling_outages():
            async with asyncio.timeout(OFFSETS_SECONDS):
                return await self._consumer.committed(TopicPartition(self.topic, self.partition)) or 0


Work = Callable[[OwnedPartition], Awaitable[None]]
OnChange = Callable[[Sequence[int] | None], None]
"""Hears of each assignment: the partitions that are ours now, or None while we have to give them up for the next one."""


def _nothing(_: Sequence[int] | None) -> None:
    return


class _Rebalances(ConsumerRebalanceListener):  # type: ignore[misc] # a class of a library without types
    """Starts the work of each partition that we get and ends it before we give the partition up."""

    def __init__(
        self,
        tasks: asyncio.TaskGroup,
        own: Callable[[set[TopicPartition]], list[OwnedPartition]],
        work: Work,
        on_change: OnChange,
    ) -> None:
        self._tasks = tasks
        self._own = own
        self._work = work
        self._on_change = on_change
        self._running: list[asyncio.Task[None]] = []
        self.leaving = False

    async def on_partitions_revoked(self, revoked: set[TopicPartition]) -> None:
        """Assignments are given whole, so all work ends."""
        running, self._running = self._running, []
        self._on_change(None)
        for task in running:
            task.cancel()
        if running:
            await asyncio.wait(running, timeout=LEAVE_SECONDS)
            log.info("partitions_revoked", partitions=sorted(place.partition for place in revoked))

    async def on_partitions_assigned(self, assigned: set[TopicPartition]) -> None:
        """Start over on what is ours now, unless we are about to leave."""
        if self.leaving:
            return
        owned = self._own(assigned)
        self._on_change([one.partition for one in owned])
        self._running = [self._tasks.create_task(_run(self._work, one)) for one in owned]
        log.info("partitions_assigned", partitions=sorted(one.partition for one in owned))


async def _run(work: Work, owned: OwnedPartition) -> None:
    await work(owned)


async def work_in_group(
    connection: KafkaConnection, *, group: str, topic: str, work: Work, on_change: OnChange = _nothing
) -> None:
    """Be a member of the group for ever, with `work` running for each partition that is ours.

    `work` is cancelled when its partition is taken away, and awaited before it is given up. Offsets are committed by
    whoever does the work, in its own transaction. Outages are waited out; an error of `work` ends this function, and so
    does a group that will not have us (no permission, a member that divides the partitions in another way).
    """
    consumer = await _joined(connection, group, topic)
    try:
        everything = {place.partition for place in await partitions_of_topic(consumer, topic)}

        def own(assigned: set[TopicPartition]) -> list[OwnedPartition]:
            alone = {place.partition for place in assigned} == everything
            return [OwnedPartition(topic, place.partition, group, alone, consumer) for place in sorted(assigned)]

        async with asyncio.TaskGroup() as tasks:
            rebalances = _Rebalances(tasks, own, work, on_change)
            consumer.subscribe(topics=[topic], listener=rebalances)
            try:
                await _watch(consumer)
            finally:
                rebalances.leaving = True
    finally:
        await close_consumer(consumer)


async def _watch(consumer: AIOKafkaConsumer) -> None:
    """Raise what keeps us out of the group: on such an error the client stands still until somebody asks for it.

    A fetch asks too, but only where there is a partition, and work that takes its time does not fetch.
    """
    while True:
        try:
            consumer._coordinator.check_errors()  # noqa: SLF001 what else asks for it wants a partition
        except Exception as error:
            if not is_outage(error):
                raise
            log.warning("group_lost_kafka", error=repr(error))
        await asyncio.sleep(LOOK_SECONDS)


async def _joined(connection: KafkaConnection, group: str, topic: str) -> AIOKafkaConsumer:
    """Connect, however long it takes; says when that begins to take long and when it is over."""
    away = False
    read_any_header_name()
    while True:
        consumer = AIOKafkaConsumer(
            **connection.options(),
            group_id=group,
            enable_auto_commit=False,
            auto_offset_reset="earliest",
            isolation_level="read_committed",
            partition_assignment_strategy=[RangePartitionAssignor],
            session_timeout_ms=SESSION_MS,
            heartbeat_interval_ms=HEARTBEAT_MS,
            max_poll_interval_ms=LONGEST_WORK_MS,
            fetch_max_wait_ms=FETCH_WAIT_MS,
        )
        try:
            with telling_outages():
                await consumer.start()
                await partitions_of_topic(consumer, topic)
        except KafkaUnreachableError as error:
            await close_consumer(consumer)
            if not away:
                log.warning("kafka_unreachable", topic=topic, error=str(error))
            away = True
            await asyncio.sleep(RETRY_SECONDS)
        except BaseException:
            await close_consumer(consumer)
            raise
        else:
            if away:
                log.info("kafka_reachable", topic=topic)
            return consumer
