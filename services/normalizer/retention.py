"""Forgets what is old: raw rows and history as the operator says, what tells of runs, gaps, drift and letters after two months.

One worker at a time does it, an hour after the last time, in batches with a pause between them.
"""

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Final

import structlog

from libs.postgres.errors import is_outage
from libs.postgres.pool import Connection
from libs.postgres.writing.history import History
from libs.postgres.writing.history_retention import drop, forget_late, load_old
from libs.postgres.writing.retention import AT_ONCE, InTheWayError, delete_old, delete_raw, server_time, turn
from libs.process.outages import wait_out
from services.normalizer.keeping import COMES_AGAIN, LETTERS_FOR, TOLD_FOR
from services.normalizer.outlets import Outlets

log = structlog.get_logger(__name__)

PASS_SECONDS: Final = 3_600.0
PAUSE_SECONDS: Final = 0.1
"""Between two batches: chunks come first."""
CLOCKS_DIFFER: Final = timedelta(hours=12)
"""Between ours and Postgres's: a clock that is months ahead would take everything for old."""
WRITERS_DIFFER: Final = timedelta(days=1)
"""A day of the history is dropped so long after writers have begun to take its ticks for late: more than CLOCKS_DIFFER."""


@dataclass(frozen=True, slots=True)
class Retention:
    """What is kept for how long; `raw_for` None: raw rows for ever. Without `history`, all of that too."""

    outlets: Outlets
    raw_tables: Mapping[str, str]
    raw_for: timedelta | None
    history: History | None = None
    at_once: int = AT_ONCE

    async def keep(self) -> None:
        """Forget for ever, through outages of Postgres: they are the chunks' matter, and no part of the worker's health here."""
        clock, ceiling = self.outlets.clock, self.outlets.retry_ceiling
        while True:
            await wait_out(self.run_once, is_outage, dependency="postgres, for what is old", clock=clock, ceiling=ceiling)
            await clock.sleep(PASS_SECONDS)

    async def run_once(self) -> dict[str, int]:
        """Delete everything that is old now, unless another worker does; return how many rows each table lost."""
        deleted: Counter[str] = Counter()
        try:
            async with turn(self.outlets.pool) as connection:
                if connection is None:
                    log.debug("retention_is_anothers_turn")
                elif now := await self._now(connection):
                    await self._delete(connection, now, deleted)
        except InTheWayError as error:
            log.warning("retention_put_off", reason=str(error))
        finally:
            if deleted.total():
                log.info("old_rows_deleted", **+deleted)
        return dict(+deleted)

    async def _now(self, connection: Connection) -> datetime | None:
        """Return the earlier of our time and Postgres's; None when they differ by so much that neither is to delete by."""
        ours, theirs = self.outlets.clock.utc(), await server_time(connection)
        if abs(ours - theirs) > CLOCKS_DIFFER:
            log.error("clock_wrong", ours=str(ours), postgres=str(theirs), hint="nothing old is deleted until the clocks agree")
            return None
        return min(ours, theirs)

    async def _delete(self, connection: Connection, now: datetime, deleted: Counter[str]) -> None:
        if self.raw_for is not None:
            for source, table in self.raw_tables.items():
                await self._raw(connection, source, table, now - self.raw_for, deleted)
        told = [(table, TOLD_FOR) for table in ("etl_runs", "gaps", "schema_drift")]
        for table, kept in (*told, ("dead_letters", LETTERS_FOR)):
            while batch := await delete_old(connection, table, before=now - kept, at_once=self.at_once):
                deleted[table] += batch
                await self.outlets.clock.sleep(PAUSE_SECONDS)
        if self.history is not None:
            await self._history(connection, self.history, now, deleted)

    async def _history(self, connection: Connection, history: History, now: datetime, deleted: Counter[str]) -> None:
        for partition in await load_old(connection, history.edges(now - WRITERS_DIFFER)):
            await drop(connection, partition, told_since=now - COMES_AGAIN)
            log.info("history_partition_dropped", partition_name=partition.name)
            await self.outlets.clock.sleep(PAUSE_SECONDS)
        while batch := await forget_late(connection, seen_before=now - COMES_AGAIN, at_once=self.at_once):
            deleted["late_ticks"] += batch
            await self.outlets.clock.sleep(PAUSE_SECONDS)

    async def _raw(self, connection: Connection, source: str, table: str, before: datetime, deleted: Counter[str]) -> None:
        """Walk on until a whole batch is young, or the end."""
        after = 0
        while True:
            batch = await delete_raw(connection, source, table, after=after, before=before, at_once=self.at_once)
            if not batch.old:
                return
            after = batch.reached
            deleted[table] += batch.deleted
            await self.outlets.clock.sleep(PAUSE_SECONDS)
