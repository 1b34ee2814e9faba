"""Rebuild: the tables that ticks make are emptied, and a replay from the beginning fills them again.

The tables are emptied in a transaction that ends after the offsets have been committed. So whenever this dies, either
nothing has happened; or the offsets are at the beginning and the tables are still full, and a replay over full tables
changes nothing; or all is done but for what subscribers must hear. A worker that joins before the offsets are committed
makes the broker refuse them, and nothing has happened; one that joins later waits for the tables. Running the same
command again finishes what was left.

The history is emptied only where that is asked for: it reaches back far beyond what topics keep, and what is read again
changes nothing there. Runs, dead letters, gaps and what was counted for runs are kept: other topics tell of them, some of it for
longer than those topics remember, and the counts of a run are those of the first time.
"""

from collections.abc import AsyncIterator, Mapping, Sequence
from dataclasses import dataclass
from uuid import UUID

from msgspec import DecodeError

from libs.contracts.raw_tick import decode_raw_tick
from libs.kafka.connection import KafkaConnection
from libs.kafka.offsets import GroupOffsets
from libs.kafka.sweeping import sweep
from libs.postgres.pool import Pool
from libs.postgres.writing.rebuilding import Emptied, Held, count_held, emptied
from libs.recovery.replaying import move
from libs.recovery.targets import Move


@dataclass(frozen=True, slots=True)
class Tables:
    """What is rebuilt: source -> its raw table, the order of the sources that assets are computed with, the history or not."""

    raw: Mapping[str, str]
    priorities: Mapping[str, int]
    history: bool = False


async def survey(connection: KafkaConnection, pool: Pool, tables: Tables, topics: Mapping[str, str]) -> list[Held]:
    """Count, for each source, what its tables hold and what of it no record of its topic (`topics`) would bring back.

    Exact, so it reads these topics whole. Raises KafkaUnreachableError.
    """
    return [
        await count_held(pool, source, table, _contents(connection, topics[source]), history=tables.history)
        for source, table in sorted(tables.raw.items())
    ]


async def rebuild(pool: Pool, tables: Tables, offsets: GroupOffsets, moves: Sequence[Move]) -> Emptied:
    """Empty the tables and move the offsets, both or, as far as anybody can tell, neither: see the words of this module."""
    async with emptied(pool, tables.raw, tables.priorities, history=tables.history) as what:
        await move(offsets, moves)
    return what


async def _contents(connection: KafkaConnection, topic: str) -> AsyncIterator[list[UUID]]:
    """Yield the tick_ids of a raw topic; what cannot be read as a tick brings nothing back."""
    async for records in sweep(connection, topic):
        found: list[UUID] = []
        for record in records:
            try:
                found.append(decode_raw_tick(record.value or b"").tick_id)
            except DecodeError:
                continue
        yield found
