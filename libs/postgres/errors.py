"""What an error of Postgres means: an outage is waited out, a refused value is set aside, everything else is a bug."""

import asyncio

import asyncpg

_OUTAGE_CLASSES = frozenset({"08", "40", "53", "57", "58"})
"""Connection exception, transaction rollback (deadlock, serialization), insufficient resources, operator intervention
(shutdown, starting up, a statement that took too long), system error (I/O)."""

_OUTAGE_STATES = frozenset({"25006", "55P03"})
"""Read-only (a failover to a standby), a lock not granted in time."""

_REFUSAL_CLASSES = frozenset({"22", "23", "54"})
"""Data exception, integrity constraint violation, program limit exceeded (too long for an index, nested too deep)."""


class DatabaseUnreachableError(Exception):
    """Postgres does not answer, or refuses us; the message says where and why, without the password."""


def is_outage(error: BaseException) -> bool:
    """Whether waiting can help: nothing is wrong with what was sent."""
    if isinstance(error, asyncpg.PostgresError):
        return _class_of(error) in _OUTAGE_CLASSES or error.sqlstate in _OUTAGE_STATES
    if isinstance(error, asyncpg.InternalClientError):
        return True  # a statement that crossed the server's goodbye: "cannot switch to state 15"
    if isinstance(error, asyncpg.InterfaceError):
        return _says_that_the_connection_died(error) or _came_of_an_outage(error)
    return isinstance(error, (OSError, asyncio.TimeoutError))


def is_refusal(error: BaseException) -> bool:
    """Whether a value is at fault: the same statement without it would work."""
    if isinstance(error, asyncpg.PostgresError):
        return _class_of(error) in _REFUSAL_CLASSES
    # What asyncpg cannot even encode, half a character or an integer that is too large: its own DataError among the arguments
    # of a statement, the bare error in a COPY.
    return isinstance(error, (UnicodeEncodeError, OverflowError)) or (
        isinstance(error, asyncpg.InterfaceError) and isinstance(error, ValueError)
    )


def _class_of(error: asyncpg.PostgresError) -> str:
    return str(error.sqlstate or "")[:2]


def _says_that_the_connection_died(error: asyncpg.InterfaceError) -> bool:
    """Tell a connection that broke from a misuse; asyncpg raises one class for both.

    A pool takes a broken connection back from under whoever holds it: inside `async with pool.acquire()` nothing else
    releases one.
    """
    signs = ("connection is closed", "connection was closed", "released back to the pool")
    return any(sign in str(error) for sign in signs)


def _came_of_an_outage(error: asyncpg.InterfaceError) -> bool:
    """Whether it was raised in tidying up after one: a session cut in the middle of a COPY is busy, and cannot be rolled back."""
    return error.__context__ is not None and is_outage(error.__context__)
