"""Services that are kept running: one that ends is started again, later each time; one with bad settings is final."""

import asyncio
import time
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from pathlib import Path

from libs.devstack.children import Child, Nursery
from libs.process.settings import EXIT_BAD_SETTINGS
from services.cli.errors import ServiceFailedError
from services.cli.log_lines import readable
from services.cli.parts import command_of
from services.cli.screen import Screen
from services.cli.settings import ROOT

FIRST_PAUSE_SECONDS = 1.0
LONGEST_PAUSE_SECONDS = 30.0
STEADY_SECONDS = 60.0
"""A service that ran this long has recovered: its next end is its first."""


@dataclass(slots=True)
class Service:
    """One of our processes, and the environment that it gets."""

    name: str
    environment: Mapping[str, str]
    log: Path
    child: Child | None = None
    restarts: int = 0

    def start(self, nursery: Nursery) -> Child:
        """Start it; a child that has ended is let go."""
        if self.child is not None:
            nursery.forget(self.child)
        self.child = nursery.start(self.name, command_of(self.name), log=self.log, environment=self.environment, folder=ROOT)
        return self.child


async def keep_running(
    service: Service, nursery: Nursery, screen: Screen, *, sleep: Callable[[float], Awaitable[None]] = asyncio.sleep
) -> None:
    """Run the service until cancelled; it is left running then, for whoever stops everything in order."""
    pause = FIRST_PAUSE_SECONDS
    while True:
        started = time.monotonic()
        child = service.start(nursery)
        await child.until_ended()
        code = child.process.returncode
        if code == EXIT_BAD_SETTINGS:
            raise ServiceFailedError(f"{service.name} refuses its settings:\n{child.last_words()}")
        pause = FIRST_PAUSE_SECONDS if time.monotonic() - started > STEADY_SECONDS else pause
        screen.warn(f"{service.name} ended with exit code {code}; starting it again in {pause:.0f} s. Its log: {service.log}")
        screen.log_line(service.name, readable(child.last_words()))
        service.restarts += 1
        await sleep(pause)
        pause = min(pause * 2, LONGEST_PAUSE_SECONDS)
