"""Reading what a source's runs were like, for the next one to be compared with them."""

from collections.abc import Mapping, Sequence
from datetime import datetime
from itertools import pairwise
from typing import Any

import msgspec

from libs.domain.anomalies import MOST_HISTORY, PriceMoves, RunFacts
from libs.postgres.pool import Pool
from libs.postgres.reading.rows import Row

# etl_runs_recent serves this: runs end in the order in which they begin, nearly.
SUCCEEDED = """
    SELECT fetched, unchanged + duplicate AS unchanged, price_moves::text,
        coalesce(started_at, requested_at, published_at, finished_at) AS began_at
    FROM etl_runs WHERE source = $1 AND status = 'succeeded' ORDER BY last_event_at DESC LIMIT $2"""


async def load_history(pool: Pool, source: str) -> tuple[Sequence[RunFacts], datetime | None]:
    """Return the last runs of a source that have succeeded, the newest first, and when the newest began."""
    rows = await pool.fetch(SUCCEEDED, source, MOST_HISTORY + 1)
    facts = [_facts(row, before) for row, before in pairwise([*rows, None]) if row is not None]
    return facts[:MOST_HISTORY], rows[0]["began_at"] if rows else None


def _facts(row: Row, before: Row | None) -> RunFacts:
    pause = None if before is None else (row["began_at"] - before["began_at"]).total_seconds()
    moves = None if row["price_moves"] is None else _moves(msgspec.json.decode(row["price_moves"]))
    return RunFacts(row["fetched"], row["unchanged"], moves, pause)


def _moves(told: Mapping[str, Any]) -> PriceMoves:
    """Take what we know of it: a later release may have told more, before it was rolled back."""
    return PriceMoves(**{name: told[name] for name in PriceMoves._fields})
