"""Watching, all through a fault, that no committed offset ran ahead of what was applied.

Each sample is two quick questions: the group's committed offsets, and then the newest row of each raw table. Later, when
the topics have been read, a tick below a sample's offset whose row came after the sample's newest row was committed before
it was applied.
"""

import asyncio
from bisect import bisect_left
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass, field
from itertools import accumulate, pairwise
from typing import NamedTuple, TypeVar

import asyncpg

from libs.contracts.topics import NORMALIZER_GROUP
from libs.kafka.connection import KafkaConnection
from libs.kafka.errors import KafkaUnreachableError
from libs.streaming.checkpoints import Checkpoints, open_checkpoints
from tests.faults.ledger import SOURCE_OF, Ledger
from tests.faults.tables import Tables, newest_record_ids

Place = TypeVar("Place")
SAMPLE_SECONDS = 0.1


class Sample(NamedTuple):
    """Offsets as committed, and the newest rows a moment later."""

    committed: Mapping[tuple[str, int], int]
    newest: Mapping[str, int]


AWAY = (
    *(KafkaUnreachableError, OSError, TimeoutError),
    *(asyncpg.PostgresError, asyncpg.InterfaceError),
    asyncpg.InternalClientError,  # a statement that crossed the server's goodbye; see libs.postgres.errors
)
"""What a server that is killed makes of a sample."""


@dataclass(slots=True)
class Watcher:
    """Samples until it is cancelled; while Kafka or Postgres is away there is nothing to see."""

    connection: KafkaConnection
    database_url: str
    samples: list[Sample] = field(default_factory=list)

    async def watch(self) -> None:
        async with open_checkpoints(self.connection, NORMALIZER_GROUP) as checkpoints:
            while True:
                with suppress(*AWAY):
                    await self._sample_on_one_connection(checkpoints)
                await asyncio.sleep(SAMPLE_SECONDS)

    async def _sample_on_one_connection(self, checkpoints: Checkpoints) -> None:
        connection = await asyncpg.connect(self.database_url, timeout=5, command_timeout=5)
        try:
            while True:
                committed = await checkpoints.committed()
                newest = await newest_record_ids(connection)
                if not self.samples or self.samples[-1] != (committed, newest):
                    self.samples.append(Sample(committed, newest))
                await asyncio.sleep(SAMPLE_SECONDS)
        finally:
            with suppress(Exception):  # the server may be gone
                await connection.close(timeout=1)


@asynccontextmanager
async def watching(connection: KafkaConnection, database_url: str) -> AsyncIterator[Watcher]:
    """Watch during the block."""
    watcher = Watcher(connection, database_url)
    task = asyncio.create_task(watcher.watch())
    try:
        yield watcher
        if task.done():
            task.result()
    finally:
        task.cancel()
        with suppress(asyncio.CancelledError):
            await task


def since_emptied(samples: Sequence[Sample]) -> Sequence[Sample]:
    """Return the samples that tell of the rows there are now: those from when the tables were emptied and the offsets reset.

    A rebuild empties first and resets then, so in between the offsets stand for rows that are gone, which is no secret.
    """
    emptied = [_fell(before.newest, after.newest) for before, after in pairwise(samples)]
    if not any(emptied):
        return samples
    reset = [_fell(before.committed, after.committed) for before, after in pairwise(samples)]
    return samples[1 + max(place for place in range(len(emptied)) if emptied[place] or reset[place]) :]


def _fell(before: Mapping[Place, int], after: Mapping[Place, int]) -> bool:
    return any(number < before.get(place, 0) for place, number in after.items())


def ran_ahead(samples: Sequence[Sample], ledger: Ledger, tables: Tables) -> list[str]:
    """Return where a checkpoint was committed before the rows that it stands for."""
    offsets: dict[tuple[str, int], list[int]] = {}
    rows: dict[tuple[str, int], list[int]] = {}
    for origin, tick in sorted(ledger.ticks.items(), key=lambda each: (each[0].topic, each[0].partition, each[0].offset)):
        if (
            origin not in ledger.letters
            and tick.tick_id is not None
            and (record_id := tables.raw[tick.source].get(tick.tick_id)) is not None
        ):
            offsets.setdefault((origin.topic, origin.partition), []).append(origin.offset)
            rows.setdefault((origin.topic, origin.partition), []).append(record_id)
    latest = {place: list(accumulate(held, max)) for place, held in rows.items()}
    found: list[str] = []
    for sample in since_emptied(samples):
        for place, committed in sample.committed.items():
            below = bisect_left(offsets.get(place, []), committed)
            if below and latest[place][below - 1] > sample.newest[SOURCE_OF[place[0]]]:
                row, newest = latest[place][below - 1], sample.newest[SOURCE_OF[place[0]]]
                found.append(
                    f"{place[0]}/{place[1]}: {committed} was committed before row {row} was stored, when {newest} was the newest"
                )
    return found
