"""One connection for one question, and one error for every way in which Postgres can be away."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import asyncpg

from libs.postgres.errors import is_outage
from libs.postgres.pool import Connection, Pool

ACQUIRE_SECONDS = 5.0


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
        raise PostgresAwayError(f"{type(error).__name__}: {error}") from error
    except Exception as error:
        _raise_if_away(error)
        raise
    try:
        yield connection
    except Exception as error:
        _raise_if_away(error)
        raise
    finally:
        await pool.release(connection)


def _raise_if_away(error: Exception) -> None:
    if isinstance(error, (asyncpg.UndefinedTableError, asyncpg.UndefinedColumnError)):
        raise PostgresNotMigratedError(str(error)) from error
    if is_outage(error):
        raise PostgresAwayError(f"{type(error).__name__}: {error}") from error
