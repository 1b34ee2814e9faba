"""Reading what has drifted in the rows of a source."""

from collections.abc import Mapping, Sequence

from libs.domain.shapes import DriftKind
from libs.postgres.pool import Connection
from libs.postgres.reading.rows import Row

COUNT = "SELECT kind, count(*) AS told FROM schema_drift WHERE source = $1 GROUP BY kind"
NEWEST = """
    SELECT kind, field, was, has_now, run_id, shard, found_at FROM schema_drift WHERE source = $1
    ORDER BY found_at DESC, run_id, shard, field, kind LIMIT $2"""
MOST_SHOWN = 20


async def load_drift(connection: Connection, source: str) -> tuple[Mapping[str, int], Sequence[Row]]:
    """Return how much of each kind a source has shown in two months, kinds of a later release included, and the newest of it."""
    counted = {row["kind"]: int(row["told"]) for row in await connection.fetch(COUNT, source)}
    newest = await connection.fetch(NEWEST, source, MOST_SHOWN) if counted else []
    return {kind.value: 0 for kind in DriftKind} | counted, newest
