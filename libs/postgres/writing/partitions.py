"""Partitions by time: made when the first row of their time comes, dropped whole when it is past keeping.

Who makes one takes no lock that a writer or a reader waits for: the table is made beside the others and then attached, which
CREATE TABLE … PARTITION OF, with its lock on all of them, is not.
"""

from collections.abc import Collection
from datetime import UTC, date, datetime, time, timedelta
from typing import Final, NamedTuple

import asyncpg

from libs.postgres.pool import Connection

TICKS: Final = "quote_history"
CANDLES: Final = "candles_1h"
PARTITIONED: Final = (TICKS, CANDLES)

LOCK_SPACE: Final = 0x6B62
"""Ours among the advisory locks of the database; the key says who makes partitions now: one at a time."""
LOCK: Final = "SELECT pg_advisory_xact_lock($1, 0)"
IS_THERE: Final = "SELECT to_regclass($1) IS NOT NULL"
CREATE: Final = "CREATE TABLE {name} (LIKE {table} INCLUDING ALL) WITH (fillfactor = {fillfactor})"
ATTACH: Final = "ALTER TABLE {table} ATTACH PARTITION {name} FOR VALUES FROM ('{start}') TO ('{end}')"
NAMED: Final = {TICKS: "%Y%m%d", CANDLES: "%Y%m"}
FILLFACTORS: Final = {TICKS: 100, CANDLES: 100}
"""Both are written once: a candle is made when its hour is over, and only a tick that comes late changes it."""


class Partition(NamedTuple):
    """What a table holds from a day on: of `quote_history` one day, of `candles_1h` a month. UTC."""

    table: str
    start: date

    @property
    def name(self) -> str:
        """The name of its table."""
        return f"{self.table}_{self.start:{NAMED[self.table]}}"

    @property
    def end(self) -> date:
        """The first day that is not in it."""
        return self.start + timedelta(days=1) if self.table == TICKS else month_of(self.start + timedelta(days=31))


def month_of(day: date) -> date:
    """Return the first day of its month."""
    return day.replace(day=1)


def midnight(day: date) -> datetime:
    """Return when it begins, UTC."""
    return datetime.combine(day, time(), UTC)


def partition_named(table: str, name: str) -> Partition | None:
    """Return the partition of a table that has this name, None when it is none of ours."""
    try:
        start = datetime.strptime(name.removeprefix(f"{table}_"), NAMED[table]).replace(tzinfo=UTC).date()
    except ValueError:
        return None
    return Partition(table, start)


async def ensure(connection: Connection, wanted: Collection[Partition]) -> None:
    """Make the partitions that are not there, in a transaction of its own; others may do so at the same time."""
    async with connection.transaction():
        await connection.execute(LOCK, LOCK_SPACE)
        for one in sorted(wanted):
            if await connection.fetchval(IS_THERE, one.name):
                continue
            await connection.execute(CREATE.format(name=one.name, table=one.table, fillfactor=FILLFACTORS[one.table]))
            start, end = (midnight(day).isoformat() for day in (one.start, one.end))
            await connection.execute(ATTACH.format(table=one.table, name=one.name, start=start, end=end))


def is_missing(error: asyncpg.CheckViolationError) -> bool:
    """Whether a row found no partition, and not a value that a constraint of ours refuses: that names itself."""
    return error.table_name in PARTITIONED and not error.constraint_name
