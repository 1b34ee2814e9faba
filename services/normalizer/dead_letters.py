"""The agents of ticks.dead-letter and etl.settlements: both are projected into tables, so that what waits can be counted.

A dead letter is never dead-lettered: whatever its headers hold, something can be said of it.
"""

from collections.abc import Iterable, Sequence

import structlog
from pydantic import ValidationError

from libs.contracts.dead_letters import failed_at_of, identity_of, read_headers
from libs.contracts.settlements import Settlement
from libs.postgres.writing.dead_letters import DeadLetter, upsert_letters, upsert_settlements
from libs.streaming.agents import Chunks
from libs.streaming.chunks import Chunk, Record
from services.normalizer.outlets import Outlets

log = structlog.get_logger(__name__)


async def project_dead_letters(chunks: Chunks, outlets: Outlets) -> None:
    """Work through ticks.dead-letter for ever."""
    async for chunk in chunks.unacknowledged():
        letters = [_letter(chunk.partition, record) for record in chunk.records]
        await _upsert(letters, outlets)
        chunks.acknowledge(chunk)
        log.info("dead_letters_projected", partition=chunk.partition, count=len(letters), last_offset=chunk.end - 1)


async def project_settlements(chunks: Chunks, outlets: Outlets) -> None:
    """Work through etl.settlements for ever."""
    async for chunk in chunks.unacknowledged():
        settlements = list(_settlements(chunk))
        await _settle(settlements, outlets)
        chunks.acknowledge(chunk)


async def _upsert(letters: Sequence[DeadLetter], outlets: Outlets) -> None:
    await outlets.through_postgres(lambda: upsert_letters(outlets.pool, letters))


async def _settle(settlements: Sequence[tuple[int, Settlement]], outlets: Outlets) -> None:
    await outlets.through_postgres(lambda: upsert_settlements(outlets.pool, settlements))


def _letter(partition: int, record: Record) -> DeadLetter:
    told = read_headers(record.headers)
    identity = identity_of(told, record.key, record.value)
    return DeadLetter(partition, record.offset, failed_at_of(record.timestamp), told, len(record.value or b""), identity)


def _settlements(chunk: Chunk) -> Iterable[tuple[int, Settlement]]:
    """Pass over what is none: nothing is lost with it, since only our own transactions settle a letter."""
    for record in chunk.records:
        if record.value is None:
            continue
        try:
            yield record.offset, Settlement.model_validate_json(record.value)
        except ValidationError as error:
            what = error.errors(include_url=False)[0]["type"]
            log.error("settlement_undecodable", topic=chunk.topic, offset=record.offset, error=what)  # noqa: TRY400 poison, no bug
