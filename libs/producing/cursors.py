"""What all replicas of a source have committed to etl.cursors, kept in memory by following it."""

import asyncio
from typing import NamedTuple

import structlog
from pydantic import ValidationError

from libs.contracts.cursors import (
    CURSOR,
    Cursor,
    PollCursor,
    QuotaUsage,
    ScheduleMark,
    ShapeCursor,
    cursor_key,
    tells_exactly,
    unpack_carried,
    unpack_contents,
)
from libs.contracts.dead_letters import LONGEST_DETAIL
from libs.kafka.end_probe import EndProbe
from libs.kafka.errors import KafkaUnreachableError
from libs.kafka.records import Record
from libs.kafka.tailing import Tail, TopicRecord
from libs.producing.drift import KnownShape, known_shape
from libs.producing.published import Published, ShardMemory

log = structlog.get_logger(__name__)

CATCH_UP_SECONDS = 80.0
"""Longer than the open transaction of a replica that died can hold us back: its timeout, and that the broker looks each 10 s."""

LOOK_SECONDS = 0.025
AWAITED_SECONDS = 0.004
"""How often the place is looked at: the client does not tell when it has passed a marker, and each transaction ends in one."""


class Changes(NamedTuple):
    """How many cursors have been applied, by their kind: what is decided about one rests on its kind, and on `others`."""

    polls: int = 0
    usages: int = 0
    others: int = 0
    """Tombstones among them, and what was not understood: what may not be the only cursor of its transaction."""

    def of(self, cursor: Cursor) -> int:
        """How many there are of its kind."""
        return self[_kind_of(cursor)]

    def with_one(self, cursor: Cursor | None) -> "Changes":
        """Count one more; None is a tombstone, or what was not understood."""
        kind = _kind_of(cursor)
        return Changes(*(count + (place == kind) for place, count in enumerate(self)))


def _kind_of(cursor: Cursor | None) -> int:
    match cursor:
        case PollCursor():
            return 0
        case QuotaUsage():
            return 1
        case _:
            return 2


class CursorView:
    """The newest cursors of one source. True as of `position`; `changes` counts what it has applied."""

    def __init__(self, tail: Tail, probe: EndProbe, source: str) -> None:
        self._tail = tail
        self._probe = probe
        self._source = source
        self._moved = asyncio.Condition()
        self._awaited = 0
        self.position = 0
        self.changes = Changes()
        self.shards: dict[str, ShardMemory] = {}
        """In the order of their newest answers."""
        self.usages: dict[int, QuotaUsage] = {}
        self.scheduled: ScheduleMark | None = None
        self.shape: KnownShape | None = None

    async def follow(self) -> None:
        """Keep reading, for ever; one task of the process does."""
        while True:
            for record in await self._tail.read(AWAITED_SECONDS if self._awaited else LOOK_SECONDS):
                self._apply(record)
            async with self._moved:
                self.position = max(self.position, self._tail.positions.get(0, 0))
                self._moved.notify_all()

    async def catch_up(self) -> None:
        """Return once everything that was sent before this call, and committed, has been applied.

        Raises KafkaUnreachableError.
        """
        ends = await self._probe.ends(self._tail.topic)
        await self.reach(ends[0])

    async def reach(self, offset: int) -> None:
        """Return once everything before an offset has been applied. Raises KafkaUnreachableError."""
        self._awaited += 1
        try:
            async with asyncio.timeout(CATCH_UP_SECONDS), self._moved:
                await self._moved.wait_for(lambda: self.position >= offset)
        except TimeoutError as error:
            raise KafkaUnreachableError(f"{self._tail.topic} could not be read up to {offset}") from error
        finally:
            self._awaited -= 1

    def published(self, shard: str) -> Published:
        """Return what is published already, as a shard asks."""
        return Published(self.shards, shard)

    def _apply(self, record: TopicRecord) -> None:
        source, _, name = (record.key or b"").decode("utf-8", "replace").partition("/")
        if source != self._source:
            return
        before, cursor = self.shards.pop(name, None), None
        try:
            if record.value is not None:
                cursor = self._remember(CURSOR.validate_json(record.value), f"{source}/{name}", before)
        except ValidationError as error:
            self._pass_over(record, name, error.errors(include_input=False, include_url=False)[0]["msg"])
        except ValueError as error:  # base64's, and our own
            self._pass_over(record, name, str(error))
        self.changes = self.changes.with_one(cursor)

    def _pass_over(self, record: TopicRecord, shard: str, error: str) -> None:
        log.warning("cursor_not_understood", cursors_offset=record.offset, shard=shard, error=error[:LONGEST_DETAIL])

    def _remember(self, cursor: Cursor, key: str, before: ShardMemory | None) -> Cursor:
        """Take a cursor in, and return it. Raises ValueError when no producer wrote it; what it was about is unknown then."""
        if cursor_key(cursor) != key:
            raise ValueError(f"the cursor of {cursor_key(cursor)} under the key {key}")
        match cursor:
            case PollCursor():
                self.shards[cursor.shard] = _memory_of(cursor, before)
            case QuotaUsage():
                self.usages[cursor.command_partition] = cursor
            case ScheduleMark():
                self.scheduled = cursor
            case ShapeCursor():
                self.shape = known_shape(cursor)
        return cursor


def _memory_of(cursor: PollCursor, before: ShardMemory | None) -> ShardMemory:
    """Take a shard's cursor in; what it says in the words of the one before is not read again."""
    words = cursor.tick_ids, cursor.listings
    held = before.held if before is not None and before.packed == words else unpack_contents(cursor)
    packed = words if tells_exactly(cursor, len(held)) else None
    return ShardMemory(held, unpack_carried(cursor), cursor.whole_at, cursor.polled_at, packed)


def cursor_record(topic: str, cursor: Cursor) -> Record:
    """Return the record that makes a cursor the newest of its key."""
    return Record(topic, cursor_key(cursor).encode(), cursor.model_dump_json().encode())


def forgotten(topic: str, source: str, shard: str) -> Record:
    """Return the tombstone of a shard that the source no longer has."""
    return Record(topic, f"{source}/{shard}".encode(), None)
