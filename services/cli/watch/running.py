"""Running what goes on until somebody ends it: by Ctrl-C, by SIGTERM, or by not reading on."""

import asyncio
import signal
from collections.abc import Coroutine
from typing import Final

import typer

from services.cli.watch.pipes import ReaderGoneError

TERMINATED: Final = 128 + signal.SIGTERM


def run_until_signal(main: Coroutine[object, object, None]) -> None:
    """Run it; what it opened is closed in order, a terminal's own screen too, however it ends.

    Ctrl-C leaves as KeyboardInterrupt, which the command line ends with 130; SIGTERM is the end with 143; a reader that has gone
    is no failure.
    """
    terminated = False
    try:
        asyncio.run(_cancelled_by_sigterm(main))
    except* ReaderGoneError:
        pass
    except* asyncio.CancelledError:
        terminated = True
    if terminated:
        raise typer.Exit(TERMINATED)


async def _cancelled_by_sigterm(main: Coroutine[object, object, None]) -> None:
    task = asyncio.ensure_future(main)
    asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, task.cancel)
    await task
