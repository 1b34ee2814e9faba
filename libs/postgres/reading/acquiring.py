"""One connection for one question, and one error for every way in which Postgres can be away."""

import asyncio
import os
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress

import asyncpg

from libs.postgres.errors import is_outage
from libs.postgres.pool import Connection, Pool

ACQUIRE_SECONDS = 5.0
RELEASE_SECONDS = 1.0
"""A connection with a statement under way is given back once the server has cancelled it, or it is cut after this long."""


class PostgresAwayError(Exception):
    """Postgres cannot answer now; asking again later can help."""


class PostgresNotMigratedError(PostgresAwayError):
    """A table is missing: the migrations have not been applied yet."""


@asynccontextmanager
async def reading(pool: Pool, *, acquire_seconds: float = ACQUIRE_SECONDS) -> AsyncIterator[Connection]:
    """Lend a connection. Raises PostgresAwayError for an outage, inside the block too; a bug leaves as it is."""
    try:
        async with asyncio.timeout(acquire_seconds):
            connection = await pool.acquire()
    except asyncpg.PostgresError as error:  # it refuses us: no such database, a wrong password, too many clients
        raise PostgresAwayError(_words(error)) from error
    except Exception as error:
        _raise_if_away(error)
        raise
    try:
        yield connection
    except Exception as error:
        _raise_if_away(error)
        raise
    finally:
        with suppress(TimeoutError):  # cut; the pool opens another
            await pool.release(connection, timeout=RELEASE_SECONDS)


def _raise_if_away(error: Exception) -> None:
    if isinstance(error, (asyncpg.UndefinedTableError, asyncpg.UndefinedColumnError)):
        raise PostgresNotMigratedError(str(error)) from error
    if is_outage(error):
        raise PostgresAwayError(_words(error)) from error


def _words(error: Exception) -> str:
    """What a person is told. A server's message names accounts and databases, never a password."""
    if isinstance(error, TimeoutError):
        return "no answer in time"
    if isinstance(error, asyncpg.PostgresError):
        return str(error).partition("\n")[0]
    if isinstance(error, OSError) and error.errno is not None:
        return f"connection failed: {os.strerror(error.errno) if error.errno > 0 else error.strerror}"
    return "connection failed"
