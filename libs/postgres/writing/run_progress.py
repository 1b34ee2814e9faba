"""What became of a run's records, counted once however often they are read."""

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import starmap
from typing import Final, NamedTuple
from uuid import UUID

from libs.domain.anomalies import MOVE_BUCKETS
from libs.postgres.pool import Connection

# What has been counted up to some offset is left as it is, and returned: with it comes up to where. The primary key serves both.
COUNT: Final = """
    WITH incoming AS (
        SELECT * FROM unnest(
            $2::uuid[], $3::integer[], $4::bigint[], $5::bigint[], $6::bigint[], $7::bigint[], $8::bigint[], $9::text[])
            AS incoming (run_id, partition, first_offset, through_offset, stored, duplicate, dead_lettered, moves)
    ), counted AS (
        SELECT run_id, partition, held.through_offset FROM etl_run_progress AS held JOIN incoming USING (run_id, partition)
        WHERE held.source = $1 AND held.through_offset >= incoming.first_offset
    ), added AS (
        INSERT INTO etl_run_progress AS held (run_id, source, partition, through_offset, stored, duplicate, dead_lettered, moves)
        SELECT run_id, $1, partition, through_offset, stored, duplicate, dead_lettered, moves::bigint[] FROM incoming
        WHERE NOT EXISTS (SELECT FROM counted WHERE (counted.run_id, counted.partition) = (incoming.run_id, incoming.partition))
        ON CONFLICT (run_id, source, partition) DO UPDATE SET (through_offset, stored, duplicate, dead_lettered, moves) = (
            excluded.through_offset, held.stored + excluded.stored, held.duplicate + excluded.duplicate,
            held.dead_lettered + excluded.dead_lettered,
            (SELECT array_agg(coalesce(before, 0) + coalesce(added, 0) ORDER BY place)
             FROM unnest(held.moves, excluded.moves) WITH ORDINALITY AS both_of (before, added, place)))
    )
    SELECT run_id, partition, through_offset FROM counted"""

Place = tuple[UUID, int]
"""A run, and a partition of its source's topic."""


class Outcome(NamedTuple):
    """What became of one record of a run: `stored`, `duplicate` or `dead_lettered`; and how far it moved a price.

    `move` is a place among libs.domain.anomalies.MOVE_BOUNDS, None where no price was there before, or none is now.
    """

    run_id: UUID
    partition: int
    offset: int
    became: str
    move: int | None = None


@dataclass(slots=True)
class _Tally:
    """The outcomes of one place, from its first record here to the last."""

    first: int
    through: int
    became: Counter[str] = field(default_factory=Counter)
    moves: list[int] = field(default_factory=lambda: [0] * MOVE_BUCKETS)


async def count(connection: Connection, source: str, outcomes: Sequence[Outcome]) -> None:
    """Add the outcomes of records of a source's topic to their runs, each record once.

    Those of a partition are in order of offset, but that some may come again behind the others. The caller holds the locks of
    the partitions, so that nobody else counts the same records between our look and our writing. A record read again,
    after a crash or in a replay, was counted the first time: its offset is not past what was counted.
    """
    counted = await _add(connection, source, outcomes)
    if counted:
        await _add(connection, source, [one for one in outcomes if one.offset > counted.get(one[:2], one.offset)])


async def _add(connection: Connection, source: str, outcomes: Sequence[Outcome]) -> Mapping[Place, int]:
    """Add what nothing has been counted of; return up to where the others have been, in the runs and partitions that have."""
    if not (tallies := _tallies(outcomes)):
        return {}
    run_ids, partitions = zip(*tallies, strict=True)
    offsets = [(one.first, one.through) for one in tallies.values()]
    totals = [(one.became["stored"], one.became["duplicate"], one.became["dead_lettered"]) for one in tallies.values()]
    columns = [*zip(*offsets, strict=True), *zip(*totals, strict=True)]
    moves = [_array(one.moves) for one in tallies.values()]
    rows = await connection.fetch(COUNT, source, run_ids, partitions, *columns, moves)
    return dict(starmap(_counted, rows))


def _tallies(outcomes: Iterable[Outcome]) -> Mapping[Place, _Tally]:
    """Add up the outcomes of each place, each offset once."""
    tallies: dict[Place, _Tally] = {}
    for run_id, partition, offset, became, move in outcomes:
        if (tally := tallies.get((run_id, partition))) is None:
            tally = tallies[run_id, partition] = _Tally(offset, offset)
        elif offset <= tally.through:
            continue  # it came again after a rebalance, and waited with what it repeats
        tally.through = offset
        tally.became[became] += 1
        if move is not None:
            tally.moves[move] += 1
    return tallies


def _array(moves: Sequence[int]) -> str | None:
    """Write an array for Postgres: a list of lists would be one array of two dimensions."""
    return f"{{{','.join(map(str, moves))}}}" if any(moves) else None


def _counted(run_id: UUID, partition: int, through_offset: int) -> tuple[Place, int]:
    return (run_id, partition), through_offset
