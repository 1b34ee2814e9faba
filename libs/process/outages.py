"""Waiting an outage out: the same attempt again, with backoff, until it works. Says when it begins and when it is over."""

import random
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Final, TypeVar

import structlog

from libs.process.clock import Clock

log = structlog.get_logger(__name__)

FIRST_WAIT_SECONDS: Final = 0.1
SAY_AGAIN_SECONDS: Final = 60.0
LONGEST_ERROR: Final = 500
"""Characters of an error that are kept: a server may quote a whole statement."""

Result = TypeVar("Result")


@dataclass(frozen=True, slots=True)
class Outage:
    """A dependency that is being waited for: since when, after how many tries that failed, and what the last one met."""

    dependency: str
    since: datetime
    seconds: float
    tries: int
    error: str


@dataclass(slots=True)
class Wait:
    """One piece of work that waits."""

    dependency: str
    since: datetime
    began: float
    tries: int = 0
    error: str = ""

    def failed(self, error: BaseException) -> None:
        """Note a try that failed."""
        self.tries += 1
        self.error = repr(error)[:LONGEST_ERROR]


@dataclass(frozen=True, slots=True)
class OutageBoard:
    """What a process waits for now, for whoever asks after its health. As long as the work that waits: a handful of tasks."""

    clock: Clock
    _waits: list[Wait] = field(default_factory=list)

    def begin(self, dependency: str) -> Wait:
        """Note that a piece of work waits from now on."""
        wait = Wait(dependency, self.clock.utc(), self.clock.monotonic())
        self._waits.append(wait)
        return wait

    def end(self, wait: Wait) -> None:
        """Note that it waits no more."""
        self._waits.remove(wait)

    def outages(self) -> Sequence[Outage]:
        """Return one for each dependency that somebody waits for: since the first of them, with the most tries."""
        found: dict[str, Outage] = {}
        now = self.clock.monotonic()
        for wait in sorted(self._waits, key=lambda wait: wait.began):
            first = found.get(wait.dependency)
            if first is None:
                found[wait.dependency] = Outage(wait.dependency, wait.since, round(now - wait.began, 3), wait.tries, wait.error)
            elif wait.tries > first.tries:
                found[wait.dependency] = Outage(first.dependency, first.since, first.seconds, wait.tries, wait.error)
        return list(found.values())


async def wait_out(
    attempt: Callable[[], Awaitable[Result]],
    is_outage: Callable[[BaseException], bool],
    *,
    dependency: str,
    clock: Clock,
    ceiling: timedelta,
    board: OutageBoard | None = None,
) -> Result:
    """Return what `attempt` returns, trying again for as long as it fails with what `is_outage` calls one.

    Any other error leaves as it is. The attempt may have had its effect although it failed, so it must be safe to repeat.
    The `board` tells of the wait while it lasts, however it ends.
    """
    board = board or OutageBoard(clock)
    wait: Wait | None = None
    said = 0.0
    pause = FIRST_WAIT_SECONDS
    try:
        while True:
            try:
                result = await attempt()
            except Exception as error:
                if not is_outage(error):
                    raise
                first = wait is None
                wait = wait or board.begin(dependency)
                wait.failed(error)
                now = clock.monotonic()
                if first or now - said >= SAY_AGAIN_SECONDS:
                    said = now
                    log.warning(
                        "outage", dependency=dependency, error=wait.error, tries=wait.tries, seconds=round(now - wait.began, 1)
                    )
                await clock.sleep(pause * random.uniform(0.5, 1.0))  # noqa: S311 - spreads the tries, guards nothing
                pause = min(pause * 2, ceiling.total_seconds())
            else:
                if wait is not None:
                    seconds = round(clock.monotonic() - wait.began, 1)
                    log.info("outage_ended", dependency=dependency, tries=wait.tries, seconds=seconds)
                return result
    finally:
        if wait is not None:
            board.end(wait)
