"""Reading a topic from its oldest record to where it ends now, in bounded memory: committed records, in order a partition."""

import asyncio
import time
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Final

from aiokafka import AIOKafkaConsumer, TopicPartition

from libs.kafka.clients import close_consumer, partitions_of_topic
from libs.kafka.connection import KafkaConnection
from libs.kafka.decoding import read_any_header_name
from libs.kafka.end_probe import EndProbe
from libs.kafka.errors import KafkaUnreachableError, telling_outages
from libs.kafka.tailing import TopicRecord, topic_record

STEP_MS: Final = 200
ANSWER_SECONDS: Final = 15.0
STANDSTILL_SECONDS: Final = 30.0
"""A reader that has to pass an open transaction waits for it this long: its owner, or the broker, ends it before."""


@dataclass(frozen=True, slots=True)
class Span:
    """What a partition holds from its oldest record on: to `committed` without waiting for anybody, to `written` in all."""

    start: int
    committed: int
    written: int


class Scanner:
    """Reads one topic as often as asked; made by `open_scanner`, used by one task."""

    def __init__(self, consumer: AIOKafkaConsumer, ends: EndProbe, topic: str) -> None:
        self._consumer = consumer
        self._ends = ends
        self._topic = topic

    async def spans(self) -> dict[int, Span]:
        """Return what each partition holds now. Raises KafkaUnreachableError."""
        with telling_outages():
            async with asyncio.timeout(ANSWER_SECONDS):
                places = await partitions_of_topic(self._consumer, self._topic)
                starts = await self._consumer.beginning_offsets(places)
                committed = await self._consumer.end_offsets(places)
                written = await self._ends.ends(self._topic)
        return {
            place.partition: Span(starts[place], committed[place], max(written[place.partition], committed[place]))
            for place in places
        }

    async def records(self, wanted: Mapping[int, tuple[int, int]]) -> AsyncIterator[Sequence[TopicRecord]]:
        """Yield the records of the partitions, each from an offset up to (without) another, some at a time.

        Raises KafkaUnreachableError, also when nothing comes for STANDSTILL_SECONDS.
        """
        waiting = {TopicPartition(self._topic, number): end for number, (start, end) in wanted.items() if start < end}
        self._consumer.assign(list(waiting))
        for place in waiting:
            self._consumer.seek(place, wanted[place.partition][0])
        before: dict[TopicPartition, int] = {}
        moved = time.monotonic()
        while waiting:
            fetched, positions = await self._step(list(waiting))
            for place, records in fetched.items():
                if found := [record for record in records if record.offset < waiting[place]]:
                    yield found
            done = {place for place, position in positions.items() if position >= waiting[place]}
            waiting = {place: end for place, end in waiting.items() if place not in done}
            self._consumer.pause(*done)
            if positions != before:
                before, moved = positions, time.monotonic()
            elif time.monotonic() - moved > STANDSTILL_SECONDS:
                where = ", ".join(f"partition {place.partition} at offset {positions[place]}" for place in waiting)
                raise KafkaUnreachableError(f"{self._topic} cannot be read on: {where}; is a transaction open there?")

    async def _step(
        self, places: Sequence[TopicPartition]
    ) -> tuple[dict[TopicPartition, list[TopicRecord]], dict[TopicPartition, int]]:
        with telling_outages():
            async with asyncio.timeout(ANSWER_SECONDS):
                fetched = await self._consumer.getmany(*places, timeout_ms=STEP_MS)
                positions = {place: await self._consumer.position(place) for place in places}
        return {place: [topic_record(one) for one in several] for place, several in fetched.items()}, positions


@asynccontextmanager
async def open_scanner(connection: KafkaConnection, topic: str) -> AsyncIterator[Scanner]:
    """Connect, for reading one topic. Raises KafkaUnreachableError, also while the topic is not there."""
    read_any_header_name()
    consumer = AIOKafkaConsumer(
        **connection.options(),
        group_id=None,
        enable_auto_commit=False,
        auto_offset_reset="earliest",
        isolation_level="read_committed",
    )
    ends = EndProbe(connection)
    try:
        with telling_outages():
            async with asyncio.timeout(ANSWER_SECONDS):
                await consumer.start()
        yield Scanner(consumer, ends, topic)
    finally:
        await close_consumer(consumer)
        await ends.close()
