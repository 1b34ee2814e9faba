"""One look at everything, as whoever watches for incidents wants it: from what this service sees of the others anyway."""

from dataclasses import dataclass
from datetime import timedelta
from typing import Final

from libs.alerting.findings import LETTERS_MINUTES, ConsumerSeen, DependencySeen, Snapshot, SourceSeen
from libs.kafka.errors import KafkaUnreachableError
from libs.kafka.lag import LagReader
from libs.postgres.reading.acquiring import PostgresAwayError, Readers, reading
from libs.postgres.reading.dead_letters import count_waiting
from libs.postgres.reading.runs import load_failures
from libs.process.clock import Clock
from libs.sources.catalogue import SOURCES
from services.query.dependencies import Dependency
from services.query.progress import ProgressBoard

NO_SOURCE = "unknown"
"""Letters that do not say where they came from, or name a source that there is not."""
IDLE: Final = dict.fromkeys(SOURCES, SourceSeen(0))
"""A source that does not run is well, or what was wrong when it was taken out of EXTRA_SOURCES would never be over."""


@dataclass(frozen=True, slots=True)
class Lookout:
    """What can be seen from here. `sources` are those that run."""

    postgres: Dependency
    kafka: Dependency
    readers: Readers
    progress: ProgressBoard
    lag: LagReader
    sources: tuple[str, ...]
    clock: Clock

    async def look(self) -> Snapshot:
        """Return what is to be seen now; what cannot be seen is None."""
        postgres, kafka = await self.postgres.seen(), await self.kafka.seen()
        runs = letters = None
        if postgres.up:
            try:
                async with reading(self.readers) as connection:
                    runs = await load_failures(connection, self.sources)
                    letters = await count_waiting(connection, self.clock.utc() - timedelta(minutes=LETTERS_MINUTES))
            except PostgresAwayError:  # whoever watches it tells
                runs = letters = None
        return Snapshot(
            {"postgres": DependencySeen(postgres.up, postgres.error), "kafka": DependencySeen(kafka.up, kafka.error)},
            await self._consumer(),
            None if runs is None else IDLE | {row["source"]: SourceSeen(row["failures"], row["error"]) for row in runs},
            None if letters is None else by_known_source(letters),
        )

    async def _consumer(self) -> ConsumerSeen:
        lags = self.progress.lags
        judged = self.progress.of_all(lags)
        members = None
        if judged.status == "stalled":
            try:
                members = await self.lag.members(self.progress.group)
            except KafkaUnreachableError:
                members = None
        waiting = sum(lag.lag_messages for lag in lags)
        return ConsumerSeen(self.progress.group, judged.status, waiting, judged.still_seconds, members)


def by_known_source(letters: dict[str | None, int]) -> dict[str, int]:
    """Return a count for each source there is, none included, and one for all other letters.

    One that runs no more is among them: ticks of it may still be applied, and its letters are soon no longer rising.
    """
    counts = dict.fromkeys((*SOURCES, NO_SOURCE), 0)
    for source, count in letters.items():
        counts[source if source is not None and source in SOURCES else NO_SOURCE] += count
    return counts
