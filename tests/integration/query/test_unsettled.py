"""The count of unsettled dead letters: bounded, rarer while it takes too long, and not told once it is old."""

import asyncio
from dataclasses import dataclass, field
from typing import Any

from libs.postgres.pool import open_pool
from libs.postgres.reading.acquiring import readers_of
from libs.postgres.reading.dead_letters import MOST_COUNTED
from libs.process.clock import SystemClock
from services.query.unsettled import COUNT_SECONDS, KNOWN_SECONDS, UnsettledLetters

FLOOD = """
    INSERT INTO dead_letters (partition, record_offset, failed_at, error_class, attempt, detail, size, identity)
    SELECT 0, n, now() + n * interval '1 ms', 'undecodable', 1, '', 0, md5(n::text)::uuid FROM generate_series(1, $1::int) AS n"""


@dataclass
class Played(SystemClock):
    """A clock that is moved, and whose sleepers are woken, by hand."""

    now: float = 1_000.0
    slept: "asyncio.Queue[float]" = field(default_factory=asyncio.Queue)
    woken: asyncio.Semaphore = field(default_factory=lambda: asyncio.Semaphore(0))

    def monotonic(self) -> float:
        return self.now

    async def sleep(self, seconds: float) -> None:
        self.slept.put_nowait(seconds)
        await self.woken.acquire()

    async def wake(self) -> float:
        """Wake the sleeper, and return how long it sleeps next."""
        self.woken.release()
        async with asyncio.timeout(60):
            return await self.slept.get()


async def test_the_count_stops_backs_off_after_timeouts_and_is_not_told_once_it_is_old(database: Any, database_url: str) -> None:
    await database.execute(FLOOD, MOST_COUNTED + 1)
    clock = Played()
    async with open_pool(database_url, application="test", connections=1, statement_seconds=1, read_only=True) as pool:
        letters = UnsettledLetters(readers_of(pool), clock)
        assert letters.count() is None
        watching = asyncio.create_task(letters.watch())
        async with asyncio.timeout(60):
            assert await clock.slept.get() == COUNT_SECONDS
        assert letters.count() == MOST_COUNTED
        async with database.transaction():
            await database.execute("DELETE FROM dead_letters")
            await database.execute("LOCK TABLE dead_letters IN ACCESS EXCLUSIVE MODE")
            assert await clock.wake() == 2 * COUNT_SECONDS
            clock.now += KNOWN_SECONDS
            assert (await clock.wake(), letters.count()) == (4 * COUNT_SECONDS, MOST_COUNTED)
            clock.now += 1
            assert letters.count() is None
        assert (await clock.wake(), letters.count()) == (COUNT_SECONDS, 0)
        watching.cancel()
        await asyncio.gather(watching, return_exceptions=True)
