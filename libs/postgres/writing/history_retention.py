"""Dropping the partitions of the history that are past keeping: a file is deleted, and no row is looked at.

But for those ticks of a day that may come again (their topic has them still, or their listing still says so): late_ticks
remembers them, or their candle would count them twice. And an hour that is open still, of a listing that has been silent ever
since, becomes a row.
"""

from datetime import datetime
from typing import Final

from libs.postgres.pool import Connection
from libs.postgres.writing.candles import close_day
from libs.postgres.writing.history import Edges
from libs.postgres.writing.partitions import CANDLES, TICKS, Partition, ensure, month_of, partition_named
from libs.postgres.writing.retention import short

MOVE_SECONDS: Final = 60
"""Longest that a day may take to be looked through for what may come again."""

FIND: Final = """
    SELECT relname FROM pg_inherits JOIN pg_class ON pg_class.oid = inhrelid WHERE inhparent = $1::regclass ORDER BY relname"""
REMEMBER: Final = """
    INSERT INTO late_ticks (source, source_id, event_time, tick_id)
    SELECT source, source_id, event_time, tick_id FROM {partition} WHERE fetched_at >= $1
    ON CONFLICT (source, source_id, event_time, tick_id) DO NOTHING"""
# The lock that DROP takes, and first of all as DROP does. Whoever takes the day for kept, with another clock or other settings,
# adds nothing to it from here on, and will find the rows.
LOCK: Final = f"LOCK TABLE ONLY {TICKS} IN ACCESS EXCLUSIVE MODE"
DROP: Final = "DROP TABLE {partition}"
# Their number is that of the late ticks of some weeks. An index on seen_at does not pay: 1,000,000 rows of which none is old are
# passed in 0.3 s, once an hour; with 475,000 old ones it all takes 2.4 s in 239 statements, and 1.5 s with an index, for which
# each row would cost a third more to write, and one that is told again could not stay in its page.
FORGET: Final = """
    WITH gone AS (
        DELETE FROM late_ticks WHERE ctid = ANY(ARRAY(SELECT ctid FROM late_ticks WHERE seen_at < $1 LIMIT $2)) RETURNING 1
    )
    SELECT count(*) FROM gone"""


async def load_old(connection: Connection, edges: Edges) -> list[Partition]:
    """Return the partitions that end before keeping begins, oldest first."""
    begin = {TICKS: edges.ticks, CANDLES: edges.candles}
    return [one for table, start in begin.items() for one in await _partitions(connection, table) if one.end <= start]


async def drop(connection: Connection, partition: Partition, *, told_since: datetime) -> None:
    """Drop one, after remembering the ticks that were fetched since, and with its open hours made rows. Raises InTheWayError.

    It waits for whoever uses the table, a second at most, and so long at most others wait behind it.
    """
    if partition.table == TICKS:
        async with short(connection, statement_seconds=MOVE_SECONDS):
            await connection.execute(REMEMBER.format(partition=partition.name), told_since)
        await ensure(connection, {Partition(CANDLES, month_of(partition.start))})
    async with short(connection):
        if partition.table == TICKS:
            await connection.execute(LOCK)
            await close_day(connection, partition.start)
        await connection.execute(DROP.format(partition=partition.name))


async def forget_late(connection: Connection, *, seen_before: datetime, at_once: int) -> int:
    """Forget some of the late ticks that nothing can bring again; return how many. Raises InTheWayError."""
    async with short(connection):
        return int(await connection.fetchval(FORGET, seen_before, at_once))


async def _partitions(connection: Connection, table: str) -> list[Partition]:
    """Read the names back; a table that somebody attached under another one is theirs to drop."""
    named = [partition_named(table, row["relname"]) for row in await connection.fetch(FIND, table)]
    return [one for one in named if one is not None]
