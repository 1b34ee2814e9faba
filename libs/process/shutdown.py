"""Running one coroutine as a process: SIGTERM and SIGINT cancel it, so that what it opened is closed in order."""

import asyncio
import gc
import signal
import sys
from collections.abc import Coroutine
from contextlib import suppress

import uvloop

from libs.process.access import AccessRefusedError, leaves
from libs.process.settings import EXIT_BAD_SETTINGS

YOUNG_OBJECTS = 200_000
"""A chunk of ticks or an answer of a provider makes some 100,000 objects that die with it: to look for cycles among them
every 700, as Python does, took a third of the normalizer's time and half of a producer's."""


def run_until_stopped(main: Coroutine[object, object, None]) -> None:
    """Run `main` to its end or to a signal. A bug in it leaves as its own traceback, a refusal of access as one line."""
    gc.freeze()
    gc.set_threshold(YOUNG_OBJECTS, 10, 10)
    refusals: list[BaseException] = []
    try:
        uvloop.run(_cancelled_by_signals(main))
    except* AccessRefusedError as group:
        refusals = leaves(group)
    if refusals:
        for line in dict.fromkeys(f"error: {refusal}" for refusal in refusals):
            print(line, file=sys.stderr)
        sys.exit(EXIT_BAD_SETTINGS)


async def _cancelled_by_signals(main: Coroutine[object, object, None]) -> None:
    task = asyncio.ensure_future(main)
    stopped = False

    def stop() -> None:
        nonlocal stopped
        stopped = True
        task.cancel()

    loop = asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, stop)
    try:
        await task
    except asyncio.CancelledError:
        if not stopped:
            raise
    finally:
        for number in (signal.SIGTERM, signal.SIGINT):
            with suppress(ValueError):
                loop.remove_signal_handler(number)
