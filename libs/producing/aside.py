"""Where an answer is worked on: a long one beside the event loop, for heartbeats must not wait for it."""

import asyncio
from collections.abc import Callable
from typing import TypeVar

from libs.producing.fetching import Answer

SHORT_ROWS, SHORT_BYTES = 500, 512 * 1024
"""What is read and compared in some 10 ms at most. A page of CoinGecko's has 250 rows of 1.2 KB, which takes 3."""

Outcome = TypeVar("Outcome")


async def worked_on(answer: Answer, work: Callable[[], Outcome]) -> Outcome:
    """Return what the work gives: in a thread, unless the answer is so short that a thread would take as long to get to it."""
    rows = answer.rows
    if len(rows) <= SHORT_ROWS and sum(map(len, rows)) <= SHORT_BYTES:
        return work()
    return await asyncio.to_thread(work)
