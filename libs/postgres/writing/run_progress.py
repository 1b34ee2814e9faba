"""What became of a run's records, counted once however often they are read."""

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from itertools import starmap
from typing import NamedTuple
from uuid import UUID

from libs.postgres.pool import Connection

LOAD_COUNTED = """
    SELECT run_id, through_offset FROM etl_run_progress
    WHERE source = $1 AND partition = $2 AND run_id = ANY($3::uuid[]) FOR UPDATE"""

ADD = """
    INSERT INTO etl_run_progress AS held (run_id, source, partition, through_offset, stored, duplicate, dead_lettered)
    SELECT run_id, $1, $2, through_offset, stored, duplicate, dead_lettered
    FROM unnest($3::uuid[], $4::bigint[], $5::bigint[], $6::bigint[], $7::bigint[])
        AS incoming (run_id, through_offset, stored, duplicate, dead_lettered)
    ON CONFLICT (run_id, source, partition) DO UPDATE SET (through_offset, stored, duplicate, dead_lettered) = (
        excluded.through_offset, held.stored + excluded.stored, held.duplicate + excluded.duplicate,
        held.dead_lettered + excluded.dead_lettered)
    WHERE held.through_offset < excluded.through_offset"""


class Outcome(NamedTuple):
    """What became of one record of a run: `stored`, `duplicate` or `dead_lettered`."""

    run_id: UUID
    offset: int
    became: str


async def count(connection: Connection, source: str, partition: int, outcomes: Sequence[Outcome]) -> None:
    """Add the outcomes of the records of one partition of a source's topic, in order of offset, to their runs.

    The caller holds the partition's lock, so that nobody else counts the same records between our look and our writing.
    A record read again, after a crash or in a replay, was counted the first time: its offset is not past what was counted.
    """
    run_ids = sorted({outcome.run_id for outcome in outcomes})
    if not run_ids:
        return
    counted: dict[UUID, int] = dict(starmap(_pair, await connection.fetch(LOAD_COUNTED, source, partition, run_ids)))
    fresh = [outcome for outcome in outcomes if outcome.offset > counted.get(outcome.run_id, -1)]
    if not fresh:
        return
    through = {outcome.run_id: outcome.offset for outcome in fresh}
    totals = Counter((outcome.run_id, outcome.became) for outcome in fresh)
    await connection.execute(ADD, source, partition, list(through), list(through.values()), *_columns(through, totals))


def _columns(run_ids: Iterable[UUID], totals: Mapping[tuple[UUID, str], int]) -> list[list[int]]:
    ordered = list(run_ids)
    return [[totals[run_id, became] for run_id in ordered] for became in ("stored", "duplicate", "dead_lettered")]


def _pair(run_id: UUID, offset: int) -> tuple[UUID, int]:
    return run_id, offset
