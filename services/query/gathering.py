"""Assets that are asked for at the same time, read by one statement, which costs little more for ten than for one.

Nothing is kept, and nobody is told what was read before they asked. Who asks alone does not wait for company.
"""

import asyncio
from collections.abc import Iterator, Mapping, Sequence

from libs.postgres.reading.acquiring import Readers, reading
from libs.postgres.reading.quotes import load_assets_with_quotes
from libs.postgres.reading.rows import Row


class GatheredAssets:
    """Reads assets with their quotes. Whoever asks while no connection is free is in the next statement."""

    def __init__(self, readers: Readers) -> None:
        self._readers = readers
        self._next: _Batch | None = None

    async def load(self, asset_uid: str) -> Sequence[Row]:
        """Return one row a quote, as they are after this call began; none when there is no such asset.

        Raises PostgresAwayError. A statement whose callers have all gone is cancelled.
        """
        batch = self._next
        if batch is None:
            batch = self._next = _Batch()
            batch.task = asyncio.create_task(self._read(batch))
        rows = batch.rows_of(asset_uid)
        try:
            return await rows
        except asyncio.CancelledError:
            if not any(batch.who_wait()):
                self._close(batch)
                batch.task.cancel()
            raise

    async def _read(self, batch: "_Batch") -> None:
        try:
            async with reading(self._readers) as connection:
                self._close(batch)
                found = await load_assets_with_quotes(connection, list(batch.wanted))
        except Exception as error:  # noqa: BLE001 each of those who wait raises it
            batch.fail(error)
        else:
            batch.tell(found)
        finally:
            self._close(batch)

    def _close(self, batch: "_Batch") -> None:
        """Who asks from here on is in the next one."""
        if self._next is batch:
            self._next = None


class _Batch:
    """What one statement reads, and who waits for it."""

    task: "asyncio.Task[None]"

    def __init__(self) -> None:
        self.wanted: dict[str, list[asyncio.Future[Sequence[Row]]]] = {}

    def rows_of(self, asset_uid: str) -> "asyncio.Future[Sequence[Row]]":
        """Return what will be told; one for each caller, as each may go."""
        rows: asyncio.Future[Sequence[Row]] = asyncio.get_running_loop().create_future()
        self.wanted.setdefault(asset_uid, []).append(rows)
        return rows

    def who_wait(self) -> Iterator["asyncio.Future[Sequence[Row]]"]:
        return (rows for those in self.wanted.values() for rows in those if not rows.done())

    def tell(self, found: Mapping[str, Sequence[Row]]) -> None:
        for asset_uid, those in self.wanted.items():
            for rows in those:
                if not rows.done():
                    rows.set_result(found.get(asset_uid, ()))

    def fail(self, error: Exception) -> None:
        for rows in self.who_wait():
            rows.set_exception(error)
            rows.exception()  # has been looked at: who goes at this very moment does not, and asyncio would complain in the log
