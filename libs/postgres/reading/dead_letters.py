"""Counting the dead letters by what became of them."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Final
from uuid import UUID

from libs.postgres.pool import Connection
from libs.postgres.reading.rows import Row

# The states are those of libs.recovery: a letter is a repeat when another of the same record failed before it, and nothing is
# settled of one that failed after its partition was settled. dead_letters_identity finds the first, dead_letters_failed_at
# those since a moment.
COUNT: Final = """
    SELECT source, error_class,
        count(*) FILTER (WHERE state = 'waiting') AS waiting, count(*) FILTER (WHERE state = 'redriven') AS redriven,
        count(*) FILTER (WHERE state = 'dropped') AS dropped, count(*) FILTER (WHERE state = 'repeat') AS repeats,
        min(failed_at) AS first_failed_at, max(failed_at) AS last_failed_at
    FROM (
        SELECT letter.source, letter.error_class, letter.failed_at,
            CASE
                WHEN EXISTS (
                    SELECT FROM dead_letters AS other WHERE other.identity = letter.identity
                        AND (other.failed_at, other.partition, other.record_offset)
                            < (letter.failed_at, letter.partition, letter.record_offset)) THEN 'repeat'
                WHEN letter.failed_at > settled.settled_at THEN 'waiting'
                WHEN settled.redriven @> letter.record_offset THEN 'redriven'
                WHEN settled.dropped @> letter.record_offset THEN 'dropped'
                ELSE 'waiting'
            END AS state
        FROM dead_letters AS letter LEFT JOIN dead_letter_settlements AS settled USING (partition)
        WHERE ($1::text IS NULL OR letter.source = $1) AND ($2::text IS NULL OR letter.error_class = $2)
            AND ($3::uuid IS NULL OR letter.run_id = $3) AND letter.failed_at >= coalesce($4, '-infinity'::timestamptz)
    ) AS known
    GROUP BY source, error_class
    ORDER BY waiting DESC, max(failed_at) DESC, source, error_class"""


@dataclass(frozen=True, slots=True)
class LettersWanted:
    """Which letters are counted: those that fit all that is given."""

    source: str | None = None
    error_class: str | None = None
    run_id: UUID | None = None
    since: datetime | None = None


async def count_letters(connection: Connection, wanted: LettersWanted) -> Sequence[Row]:
    """Return a row for each source (None where the letters do not say it) and error class that has letters."""
    return await connection.fetch(COUNT, wanted.source, wanted.error_class, wanted.run_id, wanted.since)


MOST_COUNTED: Final = 10_000
WAITING: Final = """
    SELECT source, count(*) AS waiting FROM (
        SELECT letter.source FROM dead_letters AS letter LEFT JOIN dead_letter_settlements AS settled USING (partition)
        WHERE letter.failed_at >= coalesce($1, '-infinity'::timestamptz)
            AND NOT coalesce(letter.failed_at <= settled.settled_at
                AND (settled.redriven @> letter.record_offset OR settled.dropped @> letter.record_offset), false)
            AND NOT EXISTS (
                SELECT FROM dead_letters AS other WHERE other.identity = letter.identity
                    AND (other.failed_at, other.partition, other.record_offset)
                        < (letter.failed_at, letter.partition, letter.record_offset))
        LIMIT $2) AS waiting
    GROUP BY source"""


async def count_waiting(connection: Connection, since: datetime | None) -> dict[str | None, int]:
    """Return by source how many letters still wait, of all or of those that were set aside since then.

    Counting stops at MOST_COUNTED of them: that says enough of a flood.
    """
    rows = await connection.fetch(WAITING, since, MOST_COUNTED)
    return {row["source"]: row["waiting"] for row in rows}
