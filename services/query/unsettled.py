"""How many dead letters wait, counted now and then for the metrics: never once a scrape."""

from dataclasses import dataclass
from typing import Final

import structlog

from libs.postgres.reading.acquiring import PostgresAwayError, PostgresNotMigratedError, Readers, reading
from libs.postgres.reading.dead_letters import LettersWanted, count_letters
from libs.process.clock import Clock

log = structlog.get_logger(__name__)

COUNT_SECONDS: Final = 15.0


@dataclass(slots=True)
class UnsettledLetters:
    """The number as last counted; None until it was counted once. It stays as it was while Postgres is away."""

    readers: Readers
    clock: Clock
    count: int | None = None

    async def watch(self) -> None:
        """Count for ever. Where the count takes too long for the statement's time it is told and left: requests go before it."""
        while True:
            try:
                async with reading(self.readers) as connection:
                    rows = await count_letters(connection, LettersWanted())
                self.count = sum(row["waiting"] for row in rows)
            except (PostgresAwayError, PostgresNotMigratedError) as error:
                log.debug("dead_letters_not_counted", error=str(error))
            await self.clock.sleep(COUNT_SECONDS)
