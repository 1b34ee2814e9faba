"""How many searches may read at once: each reads every row, and pages by an index must not wait behind them."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Final

from services.query.problems import BusyError

AT_ONCE: Final = 2
"""Fewer than the connections that there are, and than the processors that Postgres usually has."""
WAIT_SECONDS: Final = 5.0
"""As long as a request waits for a connection."""


class Searches:
    """The turns that searches take, in the order in which they come."""

    def __init__(self) -> None:
        self._turns = asyncio.Semaphore(AT_ONCE)

    @asynccontextmanager
    async def turn(self) -> AsyncIterator[None]:
        """Search during the block. Raises BusyError when no turn comes in time."""
        try:
            async with asyncio.timeout(WAIT_SECONDS):
                await self._turns.acquire()
        except TimeoutError:
            raise BusyError(f"more searches wait than {AT_ONCE} at a time can answer within {WAIT_SECONDS:g} s") from None
        try:
            yield
        finally:
            self._turns.release()
