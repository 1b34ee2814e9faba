"""How many dead letters wait, counted now and then for the metrics: never once a scrape."""

from dataclasses import dataclass
from typing import Final

import structlog

from libs.postgres.reading.acquiring import PostgresAwayError, PostgresNotMigratedError, Readers, reading
from libs.postgres.reading.dead_letters import count_waiting
from libs.process.clock import Clock

log = structlog.get_logger(__name__)

COUNT_SECONDS: Final = 15.0
LONGEST_WAIT_SECONDS: Final = 120.0
"""After counts that failed, each of which may have kept Postgres at work for as long as a statement may."""
KNOWN_SECONDS: Final = 5 * COUNT_SECONDS
"""An older number is not told: nobody knows whether it is still true."""


@dataclass(slots=True)
class UnsettledLetters:
    """The number as last counted, which stops at libs.postgres.reading.dead_letters.MOST_COUNTED."""

    readers: Readers
    clock: Clock
    _count: int = 0
    _counted_at: float = float("-inf")

    def count(self) -> int | None:
        """Return the number; None until it was counted once, and when it could not be counted for several intervals."""
        return self._count if self.clock.monotonic() - self._counted_at <= KNOWN_SECONDS else None

    async def watch(self) -> None:
        """Count for ever. Where the count takes too long for the statement's time it is told and left: requests go before it."""
        pause = COUNT_SECONDS
        while True:
            try:
                async with reading(self.readers) as connection:
                    self._count = sum((await count_waiting(connection, since=None)).values())
                self._counted_at, pause = self.clock.monotonic(), COUNT_SECONDS
            except (PostgresAwayError, PostgresNotMigratedError) as error:
                pause = min(2 * pause, LONGEST_WAIT_SECONDS)
                log.debug("dead_letters_not_counted", error=str(error))
            await self.clock.sleep(pause)
