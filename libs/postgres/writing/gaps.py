"""Gaps, projected from etl.gaps. Any record may come again, and a gap that is told by two is one: the first is kept."""

from collections.abc import Iterable
from typing import Final

from libs.contracts.gaps import Gap, OffsetsLost
from libs.postgres.pool import Pool

INSERT_RUNS_MISSED: Final = """
    INSERT INTO gaps (gap_id, kind, source, found_at, first_due, last_due, runs, interval_seconds)
    VALUES ($1, $2, $3, $4, $5, $6, $7, $8)
    ON CONFLICT (gap_id) DO NOTHING"""

INSERT_OFFSETS_LOST: Final = """
    INSERT INTO gaps (gap_id, kind, source, found_at, consumer_group, topic, partition, from_offset, to_offset)
    VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9)
    ON CONFLICT (gap_id) DO NOTHING"""


async def insert_new(pool: Pool, gaps: Iterable[Gap]) -> None:
    """Store the gaps that are not known yet, in one transaction."""
    async with pool.acquire() as connection, connection.transaction():
        for gap in gaps:
            told = (gap.gap_id, gap.kind, gap.source, gap.found_at)
            if isinstance(gap, OffsetsLost):
                where = (gap.group, gap.topic, gap.partition, gap.from_offset, gap.to_offset)
                await connection.execute(INSERT_OFFSETS_LOST, *told, *where)
            else:
                when = (gap.first_due, gap.last_due, gap.runs, gap.interval_seconds)
                await connection.execute(INSERT_RUNS_MISSED, *told, *when)
