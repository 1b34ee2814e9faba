"""What every topic holds, as a committed reader sees it: read on from where the last check ended."""

import asyncio
from collections import defaultdict
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from hashlib import blake2b
from typing import NamedTuple
from uuid import UUID

import msgspec
from aiokafka import AIOKafkaConsumer, ConsumerRecord, TopicPartition
from pydantic import ValidationError

from libs.contracts.dead_letters import ATTEMPT_HEADER, Origin
from libs.contracts.raw_tick import RawTickFrame, decode_raw_tick
from libs.contracts.run_events import RUN_EVENT, RunEvent
from libs.contracts.topics import ASSETS_NORMALIZED, CURSORS, DEAD_LETTERS, RUN_EVENTS, SOURCE_TOPICS, TOPICS
from libs.domain.identity import Listing
from libs.kafka.clients import close_consumer
from libs.kafka.errors import telling_outages
from libs.kafka.tailing import latest_values, topic_record

INJECTED = "faults.injected"
"""Header of the raw records that the suite itself put into the topics: no producer has published them."""
SOURCE_OF: Mapping[str, str] = {topics.raw.name: source for source, topics in SOURCE_TOPICS.items()}


class SeenTick(NamedTuple):
    """A committed record of a raw topic; the ids are None when it is no RawTick."""

    origin: Origin
    source: str
    digest: bytes
    injected: bool
    redriven: bool
    tick_id: UUID | None
    listing: Listing | None
    run_id: UUID | None
    freshness: tuple[datetime, datetime, UUID] | None


class SeenLetter(NamedTuple):
    """A dead letter."""

    source: str
    error_class: str
    stage: str
    digest: bytes
    run_id: str
    attempt: int = 1


class StuckError(Exception):
    """A committed reader does not get to the end of a topic."""


@dataclass(slots=True)
class Ledger:
    """Everything that was ever committed, growing with each `read_on`."""

    bootstrap_servers: str
    positions: dict[TopicPartition, int] = field(default_factory=dict)
    ticks: dict[Origin, SeenTick] = field(default_factory=dict)
    letters: dict[Origin, list[SeenLetter]] = field(default_factory=lambda: defaultdict(list))
    rows_set_aside: list[SeenLetter] = field(default_factory=list)
    """Dead letters of producers: rows that never reached a raw topic."""
    events: list[RunEvent] = field(default_factory=list)
    assets: dict[bytes, bytes | None] = field(default_factory=dict)
    cursors: dict[bytes, bytes] = field(default_factory=dict)
    injected: set[Origin] = field(default_factory=set)
    """Records of ours, in any topic."""
    spoilt: int = 0
    """Records that the suite itself put into topics other than the raw ones."""
    made_up_runs: set[UUID] = field(default_factory=set)
    """Runs that only such records tell of, which may be anything: nothing is asked of them."""
    runs_with_losses: set[UUID] = field(default_factory=set)
    """Runs of whose ticks some were gone before anybody but us had read them."""
    records: int = 0
    assets_published: int = 0
    _reading: asyncio.Lock = field(default_factory=asyncio.Lock)

    async def read_on(self, seconds: float) -> None:
        """Read to where the topics end now. StuckError names those that a committed reader cannot read to their end.

        Raises KafkaUnreachableError.
        """
        with telling_outages():
            async with self._reading, asyncio.timeout(seconds + 20):
                await self._read_on(seconds)

    async def _read_on(self, seconds: float) -> None:
        ends = await self._ends()
        consumer = AIOKafkaConsumer(
            bootstrap_servers=self.bootstrap_servers,
            isolation_level="read_committed",
            auto_offset_reset="earliest",
            enable_auto_commit=False,
            max_partition_fetch_bytes=4_194_304,
        )
        await consumer.start()
        try:
            consumer.assign(list(ends))
            for place in ends:
                consumer.seek(place, self.positions.get(place, 0))
            await self._read_to(consumer, ends, seconds)
        finally:
            await close_consumer(consumer)

    def forget(self, topic: str, partition: int, offsets: range) -> int:
        """Leave out what retention has taken away unread; return how many ticks that were."""
        places = [Origin(topic, partition, offset) for offset in offsets]
        gone = [tick for place in places if (tick := self.ticks.pop(place, None)) is not None]
        self.runs_with_losses.update(tick.run_id for tick in gone if tick.run_id is not None)
        return len(gone)

    async def _ends(self) -> dict[TopicPartition, int]:
        """Where the logs end, open transactions included."""
        consumer = AIOKafkaConsumer(bootstrap_servers=self.bootstrap_servers, isolation_level="read_uncommitted")
        await consumer.start()
        try:
            there = await consumer.topics()  # an older release has not all of them
            places = [
                TopicPartition(topic.name, number)
                for topic in TOPICS
                if topic.name in there
                for number in range(topic.partitions)
            ]
            ends: dict[TopicPartition, int] = await consumer.end_offsets(places)
            return ends
        finally:
            await close_consumer(consumer)

    async def _read_to(self, consumer: AIOKafkaConsumer, ends: Mapping[TopicPartition, int], seconds: float) -> None:
        deadline = asyncio.get_running_loop().time() + seconds
        waiting = {place for place, end in ends.items() if self.positions.get(place, 0) < end}
        while waiting:
            fetched = await consumer.getmany(*waiting, timeout_ms=50)
            for place, records in fetched.items():
                for record in records:
                    self._take(record)
                self.positions[place] = records[-1].offset + 1
            for place in waiting - fetched.keys():
                async with asyncio.timeout(10):
                    self.positions[place] = max(self.positions.get(place, 0), await consumer.position(place))
            waiting = {place for place in waiting if self.positions.get(place, 0) < ends[place]}
            if waiting and asyncio.get_running_loop().time() > deadline:
                stuck = [
                    f"{place.topic}/{place.partition} stands at {self.positions.get(place, 0)} of {ends[place]}"
                    for place in sorted(waiting)
                ]
                raise StuckError(f"not readable to the end within {seconds:g} s: {'; '.join(stuck)}")

    def _take(self, record: ConsumerRecord) -> None:
        self.records += 1
        if any(name == INJECTED for name, _ in record.headers):
            self.injected.add(Origin(record.topic, record.partition, record.offset))
        if record.topic in SOURCE_OF:
            tick = _tick(record)
            self.ticks[tick.origin] = tick
        elif record.topic == DEAD_LETTERS.name:
            self._take_letter(record)
        elif record.topic == RUN_EVENTS.name:
            self._take_event(record)
        elif record.topic == ASSETS_NORMALIZED.name:
            self._take_asset(record)
        elif record.topic == CURSORS.name:
            self.cursors.pop(record.key, None)
            self.cursors |= latest_values([topic_record(record)])

    def _take_event(self, record: ConsumerRecord) -> None:
        injected = any(name == INJECTED for name, _ in record.headers)
        self.spoilt += injected
        try:
            event = RUN_EVENT.validate_json(record.value or b"")
        except ValidationError:
            if not injected:
                raise
            return
        if injected:
            self.made_up_runs.add(event.run_id)
        if event.run_id not in self.made_up_runs:
            self.events.append(event)

    def _take_letter(self, record: ConsumerRecord) -> None:
        told = {name: (value or b"").decode("utf-8", "replace") for name, value in record.headers}
        if told.get(INJECTED) == "letter":
            self.spoilt += 1
            return
        letter = SeenLetter(
            told["__connect.errors.connector.name"],
            told["__connect.errors.class.name"],
            told["__connect.errors.stage"],
            digest_of(record.value),
            told["kasparro.run_id"],
            int(told[ATTEMPT_HEADER]),
        )
        partition, offset = int(told["__connect.errors.partition"]), int(told["__connect.errors.offset"])
        if offset < 0:
            self.rows_set_aside.append(letter)
        else:
            self.letters[Origin(told["__connect.errors.topic"], partition, offset)].append(letter)

    def _take_asset(self, record: ConsumerRecord) -> None:
        self.assets_published += 1
        self.assets[record.key] = record.value


def _tick(record: ConsumerRecord) -> SeenTick:
    origin, source = Origin(record.topic, record.partition, record.offset), SOURCE_OF[record.topic]
    names = {name for name, _ in record.headers}
    what = (origin, source, digest_of(record.value), INJECTED in names, ATTEMPT_HEADER in names)
    frame = _frame(record.value)
    if frame is None:
        return SeenTick(*what, None, None, None, None)
    freshness = (frame.source_updated_at, frame.fetched_at, frame.tick_id)
    return SeenTick(*what, frame.tick_id, Listing(frame.source, frame.source_id), frame.run_id, freshness)


def digest_of(value: bytes | None) -> bytes:
    """Tell one record's bytes from another's; a tombstone is not an empty record."""
    return b"" if value is None else blake2b(value, digest_size=16).digest()


def _frame(value: bytes | None) -> RawTickFrame | None:
    try:
        return None if value is None else decode_raw_tick(value)
    except (msgspec.DecodeError, ValueError, RecursionError):
        return None
