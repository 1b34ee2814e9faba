"""Being let in: a wrong credential is no outage. It ends the process with one line, where an outage is waited out.

Clients of Kafka and Postgres tell the two apart badly: they try again for ever with a password that is wrong. So each
process asks once when it starts, and again now and then, whether it is let in at all.
"""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager

import structlog

from libs.process.clock import Clock

log = structlog.get_logger(__name__)

FIRST_SECONDS = 3.0
"""How long a start waits to hear that it is let in."""
AGAIN_SECONDS = 2.0
"""While nobody answers."""
WATCH_SECONDS = 30.0
"""How long a credential that turned wrong goes unnoticed, when no connection breaks for it."""


class AccessRefusedError(Exception):
    """Somebody we depend on answers and will not have us as we are configured; the message says who, why, and what to mend."""


Knock = Callable[[], Awaitable[bool]]
"""Returns True when we are let in, False when nobody answers. Raises AccessRefusedError."""


@asynccontextmanager
async def admitted(*knocks: Knock, clock: Clock, goes_on: bool = False) -> AsyncIterator[None]:
    """Run a block for as long as nobody refuses us. Raises AccessRefusedError (in a group, once the block has begun).

    Whoever does not answer is asked again while the block runs: it is an outage, and the block's own matter. With `goes_on`,
    somebody who has let us in once and then refuses us is an error in the log, for a process that is of use without them.
    """
    first = await asyncio.gather(*map(_first, knocks))
    async with asyncio.TaskGroup() as tasks:
        watching = [
            tasks.create_task(_watch(knock, clock, let_in=let_in, goes_on=goes_on))
            for knock, let_in in zip(knocks, first, strict=True)
        ]
        try:
            yield
        finally:
            for task in watching:
                task.cancel()


async def _first(knock: Knock) -> bool:
    """Who does not answer soon is away: a process that can start without them shall."""
    try:
        async with asyncio.timeout(FIRST_SECONDS):
            return await knock()
    except TimeoutError:
        return False


async def _watch(knock: Knock, clock: Clock, *, let_in: bool, goes_on: bool) -> None:
    refused = False
    once = let_in
    while True:
        await clock.sleep(WATCH_SECONDS if let_in or refused else AGAIN_SECONDS)
        try:
            let_in = await knock()
        except AccessRefusedError as error:
            if not (goes_on and once):
                raise
            if not refused:
                log.error("access_refused", error=str(error))  # noqa: TRY400 - the line says it all
            let_in, refused = False, True
        else:
            if let_in and refused:
                log.info("access_granted")
            once, refused = once or let_in, refused and not let_in


def leaves(error: BaseException) -> list[BaseException]:
    """Return what a group of errors holds, however deep; an error by itself is its own."""
    if isinstance(error, BaseExceptionGroup):
        return [leaf for each in error.exceptions for leaf in leaves(each)]
    return [error]
