"""The sorted assets as they are now: Postgres is looked at once at the start, then when somebody asks, and at most so often.

Postgres stays the only truth. A page is never older than what is said here, and while Postgres is away there is none.
"""

import asyncio
from dataclasses import dataclass
from typing import Final

import structlog

from libs.postgres.reading.acquiring import PostgresAwayError, Readers, reading
from libs.postgres.reading.assets import look_at_assets
from libs.process.clock import Clock
from services.query.sorted_assets import SortedAssets
from services.query.sorted_list import AssetOrder

log = structlog.get_logger(__name__)

USUAL_SECONDS: Final = 0.1
"""How old pages may be: nobody sees it, and ten looks a second are few beside a thousand pages."""
COST_MULTIPLE: Final = 20
"""They may be as old as so many looks last, so that looking again and again takes a twentieth of one processor. The shorter of
the last two looks is meant: a single one lasts long when much was written before it, or when somebody stood still."""
LONGEST_SECONDS: Final = 2.0
"""But never older than this. What a look lasts is not only what it costs: Postgres may have stood still meanwhile.
A look at 15,000 assets lasts some 5 ms while nothing changes, and 150 when thousands of them have changed since."""
ANEW_SECONDS: Final = 3_600.0
"""How often everything is read anew, whatever the looks say: transaction ids run in a circle, and those of a database that was
restored are others. The sum of the versions tells of that too, but not as surely as reading does."""
RETRY_SECONDS: Final = 1.0
"""How long after a first look that failed the next one begins."""


@dataclass(frozen=True, slots=True)
class _Failure:
    ended: float
    error: PostgresAwayError


class HeldAssets:
    """Looks for one caller while the others wait; nobody waits for more than the look under way and one of their own.

    `longest_seconds`: 0 and everybody gets what Postgres has after they asked.
    """

    def __init__(self, readers: Readers, clock: Clock, longest_seconds: float = LONGEST_SECONDS) -> None:
        self._readers = readers
        self._clock = clock
        self._longest_seconds = longest_seconds
        self._looking = asyncio.Lock()
        self._assets: SortedAssets | None = None
        self._began = self._read_anew = float("-inf")
        self._good_for = self._lasted = 0.0
        self._failure: _Failure | None = None
        self.awaited: str | None = "they are being read now"
        """Why whoever asks first would have to wait, in words; None once `look_first` is done."""

    async def look_first(self) -> None:
        """Look until that has succeeded once, so that whoever asks first does not wait for the look at everything.

        An outage is waited out, and so are migrations; the log says once that there is something to wait for.
        """
        began = self._clock.monotonic()
        said = False
        while True:
            try:
                assets = await self.current(AssetOrder.RANK)
            except PostgresAwayError as error:
                if not said:
                    log.warning("assets_awaited", reason=str(error))
                said, self.awaited = True, str(error)
                await self._clock.sleep(RETRY_SECONDS)
            else:
                log.info("assets_held", assets=assets.count(None), seconds=round(self._clock.monotonic() - began, 3))
                self.awaited = None
                return

    async def current(self, order: AssetOrder, source: str | None = None) -> SortedAssets:
        """Return the assets, sorted, to be read from at once: the next look changes them. Raises PostgresAwayError."""
        asked = self._clock.monotonic()
        assets = self._young(asked)
        if assets is not None and assets.is_sorted(order, source):
            return assets
        async with self._looking:
            assets = self._young(asked)
            if assets is None:
                if self._failure is not None and self._failure.ended >= asked:
                    raise type(self._failure.error)(str(self._failure.error)) from self._failure.error
                assets = await self._look()
            await assets.sort(order, source)
            return assets

    def _young(self, asked: float) -> SortedAssets | None:
        """Return what the last look came to, if it began after somebody asked or not long ago."""
        young = self._began >= asked or self._clock.monotonic() - self._began < self._good_for
        return self._assets if young else None

    async def _look(self) -> SortedAssets:
        """Look; all or nothing of it is taken in, also if whoever asked goes away meanwhile."""
        try:
            async with reading(self._readers) as connection:
                began = self._clock.monotonic()
                assets = self._assets if began - self._read_anew < ANEW_SECONDS else None
                seen = await look_at_assets(connection, None if assets is None else assets.horizon)
                if assets is None or not await assets.take(seen):
                    seen = seen if assets is None else await look_at_assets(connection, None)
                    assets = SortedAssets()
                    await assets.take(seen)
                    self._read_anew = began
                self._assets, self._began, self._failure = assets, began, None
                lasted = self._clock.monotonic() - began
                self._good_for = min(max(USUAL_SECONDS, COST_MULTIPLE * min(lasted, self._lasted)), self._longest_seconds)
                self._lasted = lasted
                return assets
        except PostgresAwayError as error:
            self._failure = _Failure(self._clock.monotonic(), error)
            raise
