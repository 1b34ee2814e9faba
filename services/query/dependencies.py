"""Whether what we depend on answers, and since when it does or does not."""

import asyncio
from collections.abc import Awaitable, Callable
from contextlib import suppress
from dataclasses import dataclass, field
from datetime import datetime

import structlog

from libs.kafka.errors import KafkaUnreachableError
from libs.postgres.reading.acquiring import PostgresAwayError
from libs.process.clock import Clock

log = structlog.get_logger(__name__)

PING_SECONDS = 1.5
WATCH_SECONDS = 2.0
"""How long after a look the next one begins: what is told is a few seconds old at most."""


@dataclass(frozen=True, slots=True)
class Seen:
    """What the last look found."""

    up: bool
    since: datetime
    error: str | None


@dataclass(slots=True)
class Dependency:
    """Something that answers a ping. One task watches it, and whoever asks is told what that saw, without a wait.

    `ping` returns what is wrong although it answers, or None; whatever it raises means that it does not.
    """

    name: str
    ping: Callable[[], Awaitable[str | None]]
    clock: Clock
    _seen: Seen | None = None
    _looked: asyncio.Event = field(default_factory=asyncio.Event)

    @property
    def last_seen(self) -> Seen | None:
        """What the last look found; None before the first."""
        return self._seen

    async def seen(self) -> Seen:
        """Return what the last look found; only the first one is waited for, and not for long."""
        with suppress(TimeoutError):
            async with asyncio.timeout(PING_SECONDS):
                await self._looked.wait()
        return self._seen or Seen(up=False, since=self.clock.utc(), error="not looked at yet")

    async def watch(self) -> None:
        """Look for ever, so that the log says when an outage began and ended."""
        while True:
            up, error = await self._look()
            self._seen = self._noted(up=up, error=error)
            self._looked.set()
            await self.clock.sleep(WATCH_SECONDS)

    async def _look(self) -> tuple[bool, str | None]:
        try:
            async with asyncio.timeout(PING_SECONDS):
                return True, await self.ping()
        except TimeoutError:
            return False, f"no answer within {PING_SECONDS:g} s"
        except (KafkaUnreachableError, PostgresAwayError) as error:
            return False, str(error)
        except Exception as error:
            if self._seen is None or self._seen.up:
                log.warning("dependency_ping_failed", dependency=self.name, exc_info=True)
            return False, f"it cannot be asked ({type(error).__name__}); the log says more"

    def _noted(self, *, up: bool, error: str | None) -> Seen:
        before = self._seen
        if before is not None and before.up == up:
            return Seen(up, before.since, error)
        if before is not None or not up:
            log.warning("dependency_changed", dependency=self.name, up=up, error=error)
        return Seen(up, self.clock.utc(), error)
