"""Waiting an outage out: the same attempt again, with backoff, until it works. Says when it begins and when it is over."""

import random
from collections.abc import Awaitable, Callable
from datetime import timedelta
from typing import TypeVar

import structlog

from libs.process.clock import Clock

log = structlog.get_logger(__name__)

FIRST_WAIT_SECONDS = 0.1
SAY_AGAIN_SECONDS = 60.0

Result = TypeVar("Result")


async def wait_out(
    attempt: Callable[[], Awaitable[Result]],
    is_outage: Callable[[BaseException], bool],
    *,
    dependency: str,
    clock: Clock,
    ceiling: timedelta,
) -> Result:
    """Return what `attempt` returns, trying again for as long as it fails with what `is_outage` calls one.

    Any other error leaves as it is. The attempt may have had its effect although it failed, so it must be safe to repeat.
    """
    began: float | None = None
    said = 0.0
    wait = FIRST_WAIT_SECONDS
    while True:
        try:
            result = await attempt()
        except Exception as error:
            if not is_outage(error):
                raise
            now = clock.monotonic()
            if began is None:
                began = now
            if began == now or now - said >= SAY_AGAIN_SECONDS:
                said = now
                log.warning("outage", dependency=dependency, error=repr(error), seconds=round(now - began, 1))
            await clock.sleep(wait * random.uniform(0.5, 1.0))  # noqa: S311 - spreads the tries, guards nothing
            wait = min(wait * 2, ceiling.total_seconds())
        else:
            if began is not None:
                log.info("outage_ended", dependency=dependency, seconds=round(clock.monotonic() - began, 1))
            return result
