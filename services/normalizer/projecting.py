"""Projecting a topic of events into tables: what cannot be read, or is refused by Postgres, is set aside alone."""

from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from typing import Generic, TypeVar
from uuid import UUID

import structlog
from pydantic import TypeAdapter, ValidationError

from libs.domain.rejections import Reason, Rejection
from libs.postgres import errors as postgres_errors
from libs.postgres.pool import Pool
from libs.streaming.agents import Chunks
from libs.streaming.chunks import Chunk, Record
from services.normalizer.outlets import Outlets
from services.normalizer.reading import Rejected, dead_letter

log = structlog.get_logger(__name__)

Event = TypeVar("Event")
LONGEST_REFUSAL = 1_000
"""Characters of what Postgres said."""


@dataclass(frozen=True, slots=True)
class Projection(Generic[Event]):
    """How a topic is projected. `write` takes events in the order of the topic, any of them again; all of them or none.

    `stage` is told by the dead letters; `run_of` tells them the run that an event is about.
    """

    stage: str
    reader: TypeAdapter[Event]
    write: Callable[[Pool, Sequence[Event]], Awaitable[None]]
    run_of: Callable[[Event], UUID | None] = lambda _: None

    async def apply(self, chunks: Chunks, outlets: Outlets, applied: Callable[[], None] = lambda: None) -> None:
        """Work through the topic for ever; `applied` is called after each chunk."""
        async for chunk in chunks.unacknowledged():
            events, rejected = self._read(chunk)
            rejected += await self._write(events, outlets)
            letters = [dead_letter(one, chunk, stage=self.stage, source="", topic=outlets.dead_letters_topic) for one in rejected]
            if letters:
                await outlets.publish(letters)
                outlets.measures.set_aside("", rejected)
                first = rejected[0]
                log.error(
                    "events_dead_lettered",
                    topic=chunk.topic,
                    count=len(letters),
                    partition=chunk.partition,
                    first_offset=first.record.offset,
                    reason=first.rejection.reason.value,
                )
                log.debug("event_rejected", detail=first.rejection.detail)
            chunks.acknowledge(chunk)
            applied()

    def _read(self, chunk: Chunk) -> tuple[list[tuple[Record, Event]], list[Rejected]]:
        events: list[tuple[Record, Event]] = []
        rejected: list[Rejected] = []
        for record in chunk.records:
            try:
                events.append((record, self.reader.validate_json(record.value or b"")))
            except ValidationError as error:
                detail = f"not what {self.stage} is told: {error.errors(include_url=False)[0]['msg']}"
                rejected.append(Rejected(record, Rejection(Reason.UNDECODABLE, detail), None))
        return events, rejected

    async def _write(self, events: Sequence[tuple[Record, Event]], outlets: Outlets) -> list[Rejected]:
        """Write the events; return those that Postgres refuses, found by halving."""
        if not events:
            return []
        try:
            await outlets.through_postgres(lambda: self.write(outlets.pool, [event for _, event in events]))
        except Exception as error:
            if not postgres_errors.is_refusal(error):
                raise
            if len(events) == 1:
                record, event = events[0]
                rejection = Rejection(Reason.REFUSED_BY_DATABASE, f"{type(error).__name__}: {error}"[:LONGEST_REFUSAL])
                return [Rejected(record, rejection, self.run_of(event))]
        else:
            return []
        half = len(events) // 2
        return await self._write(events[:half], outlets) + await self._write(events[half:], outlets)
