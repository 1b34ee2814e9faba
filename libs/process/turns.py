"""Long computation on the loop that others share."""

import asyncio
from collections.abc import AsyncIterator, Sequence
from typing import TypeVar

One = TypeVar("One")


async def in_turns(all_of_them: Sequence[One], at_once: int) -> AsyncIterator[Sequence[One]]:
    """Yield slices of at most so many, and give the loop a turn before each but the first."""
    for begin in range(0, len(all_of_them), at_once):
        if begin:
            await asyncio.sleep(0)
        yield all_of_them[begin : begin + at_once]
