"""Long computation on the loop that others share."""

import asyncio
from collections.abc import AsyncIterator, Iterable, Sequence
from itertools import islice
from typing import TypeVar

One = TypeVar("One")


async def in_turns(all_of_them: Iterable[One], at_once: int) -> AsyncIterator[Sequence[One]]:
    """Yield slices of at most so many, and give the loop a turn before each but the first."""
    rest = iter(all_of_them)
    some = list(islice(rest, at_once))
    while some:
        yield some
        if some := list(islice(rest, at_once)):
            await asyncio.sleep(0)
