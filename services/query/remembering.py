"""Answers that are worth asking for at most once a second, however many requests want them."""

import asyncio
from collections import defaultdict
from collections.abc import Awaitable, Callable
from typing import Generic, TypeVar

from libs.process.clock import Clock

Found = TypeVar("Found")


class Remembered(Generic[Found]):
    """Holds what was found under each key for `seconds`; one caller asks while the others wait. Keys must be a closed set."""

    def __init__(self, seconds: float, clock: Clock) -> None:
        self._seconds = seconds
        self._clock = clock
        self._held: dict[str, tuple[float, Found]] = {}
        self._asking: defaultdict[str, asyncio.Lock] = defaultdict(asyncio.Lock)

    async def get(self, key: str, ask: Callable[[], Awaitable[Found]]) -> Found:
        """Return what is held if it is young enough, or ask."""
        held = self._young(key)
        if held is None:
            async with self._asking[key]:
                held = self._young(key)
                if held is None:
                    asked_at = self._clock.monotonic()
                    held = (asked_at, await ask())
                    self._held[key] = held
        return held[1]

    def _young(self, key: str) -> tuple[float, Found] | None:
        held = self._held.get(key)
        return held if held is not None and self._clock.monotonic() - held[0] < self._seconds else None
