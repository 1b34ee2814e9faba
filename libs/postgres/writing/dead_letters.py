"""Dead letters and what became of them, projected from ticks.dead-letter and etl.settlements. Any record may come again."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Final
from uuid import UUID

from libs.contracts.dead_letters import Told
from libs.contracts.settlements import OffsetRange, Settlement
from libs.postgres.pool import Pool

UPSERT_LETTERS: Final = """
    INSERT INTO dead_letters AS held (partition, record_offset, failed_at, source, error_class, stage, run_id, attempt,
        origin_topic, origin_partition, origin_offset, detail, size, identity)
    SELECT * FROM unnest($1::integer[], $2::bigint[], $3::timestamptz[], $4::text[], $5::text[], $6::text[], $7::uuid[],
        $8::integer[], $9::text[], $10::integer[], $11::bigint[], $12::text[], $13::bigint[], $14::uuid[])
    ON CONFLICT (partition, record_offset) DO UPDATE SET (failed_at, source, error_class, stage, run_id, attempt, origin_topic,
        origin_partition, origin_offset, detail, size, identity) = (excluded.failed_at, excluded.source, excluded.error_class,
        excluded.stage, excluded.run_id, excluded.attempt, excluded.origin_topic, excluded.origin_partition,
        excluded.origin_offset, excluded.detail, excluded.size, excluded.identity)
    WHERE held.failed_at < excluded.failed_at"""

UPSERT_SETTLEMENT: Final = """
    INSERT INTO dead_letter_settlements AS held (partition, redriven, dropped, settled_at, record_offset)
    VALUES ($1, $2::text::int8multirange, $3::text::int8multirange, $4, $5)
    ON CONFLICT (partition) DO UPDATE SET (redriven, dropped, settled_at, record_offset)
        = (excluded.redriven, excluded.dropped, excluded.settled_at, excluded.record_offset)
    WHERE (held.settled_at, held.record_offset) < (excluded.settled_at, excluded.record_offset)"""


@dataclass(frozen=True, slots=True)
class DeadLetter:
    """A dead letter without its bytes: where it is in ticks.dead-letter, and what its headers tell."""

    partition: int
    offset: int
    failed_at: datetime
    told: Told
    size: int
    identity: UUID | None


async def upsert_letters(pool: Pool, letters: Iterable[DeadLetter]) -> None:
    """Keep the newest letter of each place: a topic that is made anew gives out its offsets again."""
    newest = {(letter.partition, letter.offset): letter for letter in sorted(letters, key=lambda one: one.failed_at)}
    rows = [_row(newest[place]) for place in sorted(newest)]
    if rows:
        await pool.execute(UPSERT_LETTERS, *map(list, zip(*rows, strict=True)))


async def upsert_settlements(pool: Pool, settlements: Sequence[tuple[int, Settlement]]) -> None:
    """Keep the newest settlement of each partition; each comes with its offset in etl.settlements."""
    newest = {settlement.partition: (offset, settlement) for offset, settlement in settlements}
    for partition, (offset, settlement) in sorted(newest.items()):
        redriven, dropped = _multirange(settlement.redriven), _multirange(settlement.dropped)
        await pool.execute(UPSERT_SETTLEMENT, partition, redriven, dropped, settlement.settled_at, offset)


def _row(letter: DeadLetter) -> tuple[object, ...]:
    told, origin = letter.told, letter.told.origin
    where = (origin.topic, origin.partition, origin.offset) if origin else (None, None, None)
    return (
        *(letter.partition, letter.offset, letter.failed_at),
        *(told.source, told.error_class, told.stage, told.run_id, told.attempt),
        *where,
        *(told.detail, letter.size, letter.identity),
    )


def _multirange(ranges: Iterable[OffsetRange]) -> str:
    return f"{{{','.join(f'[{start},{end})' for start, end in ranges)}}}"
