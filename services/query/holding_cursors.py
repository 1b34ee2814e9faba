"""What the producers have published, by shard, as etl.cursors tells it."""

import binascii
from dataclasses import dataclass, field
from datetime import datetime
from uuid import UUID

import structlog
from pydantic import ValidationError

from libs.contracts.cursors import CURSOR, PollCursor, unpack_tick_ids
from libs.kafka.tailing import Tail, TopicRecord

log = structlog.get_logger(__name__)


@dataclass(frozen=True, slots=True)
class ShardCursor:
    """A shard's cursor without its tick_ids."""

    source: str
    shard: str
    run_id: UUID
    polled_at: datetime
    ticks: int


@dataclass(slots=True)
class CursorBoard:
    """The newest cursor of each shard; follows the topic in its own task, so it is as old as Kafka's delivery."""

    tail: Tail
    _held: dict[bytes, ShardCursor] = field(default_factory=dict)

    async def follow(self) -> None:
        """Read for ever; outages are waited out."""
        async for records in self.tail:
            for record in records:
                self._take(record)

    def of(self, source: str) -> list[ShardCursor]:
        """Return the cursors of a source, by shard."""
        return sorted((held for held in self._held.values() if held.source == source), key=lambda held: held.shard)

    def _take(self, record: TopicRecord) -> None:
        key = record.key or b""
        if record.value is None:
            self._held.pop(key, None)
            return
        try:
            cursor = CURSOR.validate_json(record.value)
            ticks = len(unpack_tick_ids(cursor.tick_ids)) if isinstance(cursor, PollCursor) else 0
        except ValidationError as error:
            log.warning("cursor_unreadable", offset=record.offset, error=str(error.errors(include_input=False)[:1]))
            return
        except binascii.Error as error:
            log.warning("cursor_unreadable", offset=record.offset, error=str(error))
            return
        if isinstance(cursor, PollCursor):
            self._held[key] = ShardCursor(cursor.source, cursor.shard, cursor.run_id, cursor.polled_at, ticks)
