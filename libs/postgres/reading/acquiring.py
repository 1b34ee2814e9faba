"""One connection for one question, and one error for every way in which Postgres can be away."""

import asyncio
import os
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass

import asyncpg
from asyncpg.pool import PoolConnectionProxy

from libs.postgres.errors import is_outage
from libs.postgres.pool import Connection, Pool

ACQUIRE_SECONDS = 5.0
RELEASE_SECONDS = 1.0
"""A connection with a statement under way is given back once the server has cancelled it, or it is cut after this long."""


class PostgresAwayError(Exception):
    """Postgres cannot answer now; asking again later can help."""


class PostgresNotMigratedError(PostgresAwayError):
    """A table is missing: the migrations have not been applied yet."""


@dataclass(frozen=True, slots=True)
class Readers:
    """A pool whose connections are lent in the order in which they are asked for.

    asyncpg's own queue is asyncio's: it wakes who has waited longest, and whoever asks before that one has run takes the
    connection away from under it, and it waits again as the last. With 32 clients one answer in a hundred took 27 medians.
    """

    pool: Pool
    turns: asyncio.Semaphore


def readers_of(pool: Pool) -> Readers:
    """Lend the connections of a pool, which nobody else takes any from."""
    return Readers(pool, asyncio.Semaphore(pool.get_max_size()))


@asynccontextmanager
async def reading(readers: Readers, *, acquire_seconds: float = ACQUIRE_SECONDS) -> AsyncIterator[Connection]:
    """Lend a connection. Raises PostgresAwayError for an outage, inside the block too; a bug leaves as it is."""
    try:
        async with asyncio.timeout(acquire_seconds):
            connection = await _acquire(readers)
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
        try:
            with suppress(TimeoutError):  # cut; the pool opens another
                await readers.pool.release(connection, timeout=RELEASE_SECONDS)
        finally:
            readers.turns.release()


async def _acquire(readers: Readers) -> "PoolConnectionProxy[asyncpg.Record]":
    await readers.turns.acquire()
    try:
        return await readers.pool.acquire()
    except BaseException:
        readers.turns.release()
        raise


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
