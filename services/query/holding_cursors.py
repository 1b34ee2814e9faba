"""What the producers remember, as etl.cursors tells it: what they have published, their quotas, when they run next."""

import binascii
from dataclasses import dataclass, field
from datetime import datetime
from uuid import UUID

import structlog
from pydantic import ValidationError

from libs.contracts.cursors import CURSOR, PollCursor, QuotaUsage, ScheduleMark, unpack_tick_ids
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
    """The newest cursor of each key; follows the topic in its own task, so it is as old as Kafka's delivery."""

    tail: Tail
    _held: dict[bytes, ShardCursor] = field(default_factory=dict)
    _usages: dict[bytes, QuotaUsage] = field(default_factory=dict)
    _marks: dict[bytes, ScheduleMark] = field(default_factory=dict)

    async def follow(self) -> None:
        """Read for ever; outages are waited out."""
        async for records in self.tail:
            for record in records:
                self._take(record)

    def of(self, source: str) -> list[ShardCursor]:
        """Return the cursors of a source, by shard."""
        return sorted((held for held in self._held.values() if held.source == source), key=lambda held: held.shard)

    def usages_of(self, source: str) -> list[QuotaUsage]:
        """Return what each owner of a command partition has used of the source's quota."""
        return [usage for usage in self._usages.values() if usage.source == source]

    def schedule_of(self, source: str) -> ScheduleMark | None:
        """Return when the source's last scheduled run was requested; None when none ever was."""
        return next((mark for mark in self._marks.values() if mark.source == source), None)

    def _take(self, record: TopicRecord) -> None:
        key = record.key or b""
        if record.value is None:
            for held in (self._held, self._usages, self._marks):
                held.pop(key, None)
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
        match cursor:
            case PollCursor():
                self._held[key] = ShardCursor(cursor.source, cursor.shard, cursor.run_id, cursor.polled_at, ticks)
            case QuotaUsage():
                self._usages[key] = cursor
            case ScheduleMark():
                self._marks[key] = cursor
            case _:
                pass  # a shape is the producer's own
