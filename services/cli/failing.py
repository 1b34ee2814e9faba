"""How a command ends: with an exit code a script can tell apart, and one clear line for what an operator can mend."""

import errno
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Final

import typer

from libs.devstack.errors import DevstackError
from libs.process.access import AccessRefusedError, leaves
from services.cli.errors import ApiAwayError, CommandError, UseError
from services.cli.screen import Screen

FAILED: Final = 1
BAD_USE: Final = 2
AWAY: Final = 3
STILL_GOING: Final = 4

DISK_FULL = frozenset({errno.ENOSPC, errno.EDQUOT})


@contextmanager
def explained(screen: Screen) -> Iterator[None]:
    """Turn what an operator can mend into a line and an exit code. A bug stays a traceback."""
    try:
        yield
    except typer.Exit:
        raise
    except Exception as error:
        causes = [(leaf, _code(leaf)) for leaf in leaves(error)]
        codes = [code for _, code in causes if code is not None]
        if len(codes) < len(causes):
            raise
        for leaf, _ in causes:
            screen.fail(_message(leaf))
        raise typer.Exit(codes[0]) from None


def _code(error: BaseException) -> int | None:
    """The drivers are imported here and not above: a command starts in the time of what it needs."""
    from libs.kafka.admin import TopicsError
    from libs.kafka.errors import KafkaUnreachableError
    from libs.postgres.errors import DatabaseUnreachableError
    from libs.postgres.migrations import MigrationError

    if isinstance(error, (UseError, AccessRefusedError)):
        return BAD_USE
    if isinstance(error, (KafkaUnreachableError, DatabaseUnreachableError, ApiAwayError)):
        return AWAY
    if isinstance(error, (CommandError, DevstackError, MigrationError, TopicsError, TimeoutError)):
        return FAILED
    return FAILED if isinstance(error, OSError) and error.errno in DISK_FULL else None


def _message(error: BaseException) -> str:
    if isinstance(error, OSError) and error.errno in DISK_FULL:
        return f"The disk is full: {error}. Free some, or empty old state with `make clean-state`."
    return str(error) or "Something did not answer in time; see the logs in the state folder"
