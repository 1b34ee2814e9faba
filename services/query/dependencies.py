"""Whether what we depend on answers, and since when it does or does not."""

import asyncio
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from datetime import datetime

import structlog

from libs.process.clock import Clock

log = structlog.get_logger(__name__)

PING_SECONDS = 1.5
LOOK_AGAIN_SECONDS = 1.0
WATCH_SECONDS = 5.0
"""How often each is looked at when nobody asks, so that `since` is true to a few seconds."""


@dataclass(frozen=True, slots=True)
class Seen:
    """What the last look found."""

    up: bool
    since: datetime
    error: str | None


@dataclass(slots=True)
class Dependency:
    """Something that answers a ping, looked at no more than once a second and never for longer than PING_SECONDS."""

    name: str
    ping: Callable[[], Awaitable[object]]
    clock: Clock
    _seen: Seen | None = None
    _looked_at: float = 0.0
    _looking: asyncio.Lock = field(default_factory=asyncio.Lock)

    async def look(self) -> Seen:
        """Return whether it answers. Whatever a ping raises means that it does not."""
        async with self._looking:
            if self._seen is None or self.clock.monotonic() - self._looked_at >= LOOK_AGAIN_SECONDS:
                self._seen = self._noted(await self._error())
                self._looked_at = self.clock.monotonic()
            return self._seen

    async def watch(self) -> None:
        """Look for ever, so that the log says when an outage began and ended."""
        while True:
            await self.look()
            await self.clock.sleep(WATCH_SECONDS)

    async def _error(self) -> str | None:
        try:
            async with asyncio.timeout(PING_SECONDS):
                await self.ping()
        except TimeoutError:
            return f"no answer within {PING_SECONDS:g} s"
        except Exception as error:  # noqa: BLE001 health reports what is wrong, it does not judge it
            return str(error) or type(error).__name__
        return None

    def _noted(self, error: str | None) -> Seen:
        before = self._seen
        if before is not None and before.up == (error is None):
            return Seen(before.up, before.since, error)
        if before is not None or error is not None:
            log.warning("dependency_changed", dependency=self.name, up=error is None, error=error)
        return Seen(error is None, self.clock.utc(), error)
