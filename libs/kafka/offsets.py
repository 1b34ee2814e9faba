"""A consumer group's offsets, looked at and set from outside, which the broker allows while the group has no members."""

import asyncio
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from datetime import datetime
from typing import Final, NamedTuple

from aiokafka import AIOKafkaConsumer, TopicPartition, errors
from aiokafka.admin import AIOKafkaAdminClient
from aiokafka.structs import OffsetAndMetadata

from libs.kafka.admin import TopicsError
from libs.kafka.clients import close_admin, close_consumer, partitions_of_topic
from libs.kafka.connection import KafkaConnection
from libs.kafka.errors import telling_outages
from libs.kafka.members import COORDINATOR_COMING, LOOK_AGAIN_SECONDS, NOBODY, Member, describe

ANSWER_SECONDS: Final = 20.0


class Place(NamedTuple):
    """A partition of a topic."""

    topic: str
    partition: int


@dataclass(frozen=True, slots=True)
class Standing:
    """Where a group and the log stand in one partition.

    `committed` is None where the group has never committed. `log_start` is the oldest offset that is kept, `log_end` the one
    after the last that a reader of committed records can reach.
    """

    place: Place
    committed: int | None
    log_start: int
    log_end: int


class GroupInUseError(Exception):
    """The group has members, so its offsets are theirs to move; the message says who they are and what to do."""


class OffsetsNotSetError(Exception):
    """The group's offsets are not what was committed a moment ago; the message says where."""


@dataclass(frozen=True, slots=True)
class GroupOffsets:
    """The offsets of one group. Made by `open_group_offsets`. Every method raises KafkaUnreachableError on an outage."""

    group: str
    _admin: AIOKafkaAdminClient
    _consumer: AIOKafkaConsumer

    async def require_no_members(self) -> None:
        """Return if nobody is in the group; raise GroupInUseError otherwise. A group that is rebalancing is somebody's."""
        state, members = await self._described()
        if state in NOBODY and not members:
            return
        raise GroupInUseError(_told(self.group, state, members))

    async def standings(self, topics: Sequence[str]) -> list[Standing]:
        """Return where the group stands in every partition of the topics. Raises TopicsError when one is not there."""
        with telling_outages():
            async with asyncio.timeout(ANSWER_SECONDS):
                missing = sorted(set(topics) - set(await self._admin.list_topics()))
                if missing:
                    raise TopicsError(f"missing topics: {', '.join(missing)}; create them with `kasparro topics`")
                places = [place for topic in topics for place in await partitions_of_topic(self._consumer, topic)]
                starts: Mapping[TopicPartition, int] = await self._consumer.beginning_offsets(places)
                ends: Mapping[TopicPartition, int] = await self._consumer.end_offsets(places)
        held = await self.committed()
        return [Standing(place, held.get(place), starts[each], ends[each]) for each in places for place in [Place(*each)]]

    async def committed(self) -> dict[Place, int]:
        """Return where the group goes on, in the partitions where it has ever committed."""
        with telling_outages():
            async with asyncio.timeout(ANSWER_SECONDS):
                while True:
                    try:
                        held = await self._admin.list_consumer_group_offsets(self.group)
                    except COORDINATOR_COMING:
                        await asyncio.sleep(LOOK_AGAIN_SECONDS)
                    else:
                        return {Place(*place): found.offset for place, found in held.items() if found.offset >= 0}

    async def first_since(self, places: Sequence[Place], moment: datetime) -> dict[Place, int | None]:
        """Return the offset of the first record of each partition that Kafka timed at the moment or later; None without one."""
        with telling_outages():
            async with asyncio.timeout(ANSWER_SECONDS):
                since = {TopicPartition(*place): int(moment.timestamp() * 1000) for place in places}
                found = await self._consumer.offsets_for_times(since)
        return {place: None if (one := found.get(TopicPartition(*place))) is None else one.offset for place in places}

    async def commit(self, targets: Mapping[Place, int]) -> None:
        """Set the offsets, all in one request, and read them back.

        Raises GroupInUseError when somebody has joined meanwhile: the broker itself refuses then, and nothing is changed.
        """
        places = [TopicPartition(*place) for place in targets]
        offsets = {TopicPartition(*place): OffsetAndMetadata(offset, "") for place, offset in targets.items()}
        with telling_outages():
            async with asyncio.timeout(ANSWER_SECONDS):
                self._consumer.assign(places)
                self._consumer.pause(*places)  # nobody wants the records
                try:
                    await self._consumer.commit(offsets)
                except errors.CommitFailedError as error:
                    state, members = await self._described()
                    raise GroupInUseError(_told(self.group, state, members)) from error
        held = await self.committed()
        if wrong := [place for place, offset in targets.items() if held.get(place) != offset]:
            told = ", ".join(f"{topic}/{partition} is at {held.get(Place(topic, partition))}" for topic, partition in wrong)
            raise OffsetsNotSetError(f"the offsets of {self.group} were moved by somebody else at the same time: {told}")

    async def _described(self) -> tuple[str, Sequence[Member]]:
        with telling_outages():
            async with asyncio.timeout(ANSWER_SECONDS):
                return await describe(self._admin, self.group)


@asynccontextmanager
async def open_group_offsets(connection: KafkaConnection, group: str) -> AsyncIterator[GroupOffsets]:
    """Connect. Nothing joins the group: a consumer that is given its partitions by hand may commit without being a member."""
    admin = AIOKafkaAdminClient(**connection.options())
    consumer = AIOKafkaConsumer(
        **connection.options(), group_id=group, enable_auto_commit=False, isolation_level="read_committed"
    )
    try:
        with telling_outages():
            async with asyncio.timeout(ANSWER_SECONDS):
                await admin.start()
                await consumer.start()
        yield GroupOffsets(group, admin, consumer)
    finally:
        await close_consumer(consumer)
        await close_admin(admin)


def _told(group: str, state: str, members: Sequence[Member]) -> str:
    who = "; ".join(f"{each.client_id} at {each.host.lstrip('/')} (member {each.member_id})" for each in members)
    return (
        f"the group {group} is in use (state {state}): {who or 'its members are joining or leaving'}. Stop every worker and "
        "try again. One that was killed without a goodbye is a member until its session ends, 10 s later."
    )
