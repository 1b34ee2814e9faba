"""Which migrations this code needs, and whether the database has them: all that a service knows of migrations.

A database ahead of the code is fine: each migration works with the code already running.
"""

import os
from datetime import timedelta
from pathlib import Path
from urllib.parse import urlsplit

import asyncpg
import structlog

from libs.postgres.errors import DatabaseUnreachableError
from libs.postgres.pool import Connection, Pool, open_pool
from libs.process.clock import Clock

MIGRATIONS = Path(__file__).parents[2] / "migrations"
LOOK_AGAIN = timedelta(milliseconds=250)
SAY_AGAIN = timedelta(seconds=30)
LOOK_SECONDS = 10.0

APPLIED = "SELECT migration_id FROM _yoyo_migration"

log = structlog.get_logger(__name__)


def required_migrations(folder: Path = MIGRATIONS) -> list[str]:
    """Return the ids of the migrations beside this code, in order; the last is the version that the code needs."""
    return sorted(path.stem for path in folder.glob("*.sql") if not path.name.endswith(".rollback.sql"))


def required_version(folder: Path = MIGRATIONS) -> str:
    """Return the last of them."""
    return required_migrations(folder)[-1]


async def missing_migrations(connection: Connection, folder: Path = MIGRATIONS) -> list[str]:
    """Return what the database lacks, in order; all of it when it was never migrated."""
    try:
        applied = {row["migration_id"] for row in await connection.fetch(APPLIED)}
    except asyncpg.UndefinedTableError:
        applied = set()
    return [each for each in required_migrations(folder) if each not in applied]


async def missing_in(database_url: str, *, application: str) -> list[str]:
    """Return what the database lacks, for a caller that wants nothing else of it. Raises DatabaseUnreachableError."""
    opened = open_pool(database_url, application=application, connections=1, statement_seconds=LOOK_SECONDS)
    try:
        async with opened as pool, pool.acquire() as connection:
            return await missing_migrations(connection)
    except (OSError, asyncpg.PostgresError, asyncpg.ClientConfigurationError) as error:
        where = urlsplit(database_url).netloc.rpartition("@")[2] or "its socket"  # several servers have no one port
        raise DatabaseUnreachableError(f"Postgres at {where} cannot be used: {_reason(error)}") from error


def _reason(error: Exception) -> str:
    if isinstance(error, TimeoutError):
        return "it does not answer in time"
    if isinstance(error, OSError) and error.errno and error.errno > 0:
        return os.strerror(error.errno)  # the error's own words are a Python tuple
    return str(error)


async def wait_until_migrated(pool: Pool, clock: Clock) -> None:
    """Return once the database has every migration that this code needs; say so while it does not.

    Raises what the driver raises when Postgres is away: its callers wait outages out in their own way.
    """
    said: float | None = None
    while True:
        async with pool.acquire() as connection:
            missing = await missing_migrations(connection)
        if not missing:
            if said is not None:
                log.info("migrations_arrived", version=required_version())
            return
        if said is None or clock.monotonic() - said > SAY_AGAIN.total_seconds():
            log.warning("migrations_awaited", missing=missing, hint="kasparro migrate")
            said = clock.monotonic()
        await clock.sleep(LOOK_AGAIN.total_seconds())
