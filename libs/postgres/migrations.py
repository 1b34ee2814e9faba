"""Migrations: plain SQL files with rollbacks, applied by one process at a time.

For the command line; services only look at what is there (libs.postgres.schema).

yoyo marks what it applied in a row of its own, and its lock is a row that a killed process leaves behind. So whoever
migrates holds an advisory lock for as long as its connection lives, and a migration and its mark commit together.
"""

import os
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path
from typing import Any

import psycopg
from yoyo import get_backend, read_migrations
from yoyo.exceptions import LockTimeout

from libs.postgres.errors import DatabaseUnreachableError
from libs.postgres.schema import APPLIED, MIGRATIONS

ADVISORY_LOCK = 7_411_203_985
"""Any number that nobody else in this database uses."""

CONNECT_SECONDS = 5
YOYO_LOCK_SECONDS = 1
ROLLBACK_SUFFIX = ".rollback.sql"

Backend = Any
Migration = Any


class MigrationError(Exception):
    """A migration cannot be applied, rolled back or found; the message says which and why."""


class Direction(StrEnum):
    """Which way a step goes."""

    APPLY = "apply"
    ROLLBACK = "rollback"


@dataclass(frozen=True, slots=True)
class Step:
    """One migration to apply or to roll back."""

    direction: Direction
    migration_id: str


Plan = Sequence[tuple[Direction, Migration]]


@dataclass(frozen=True, slots=True)
class Status:
    """One migration, and whether the database has it."""

    migration_id: str
    applied: bool


Told = Callable[[str], None]
"""Hears, once, that another process migrates and we wait."""


def status(database_url: str, folder: Path = MIGRATIONS) -> list[Status]:
    """Return every migration in order; one that only the database knows comes last. Looks, and so waits for nobody."""
    migrations, applied = _ordered(folder), _look(database_url)
    known = [Status(each.id, each.id in applied) for each in migrations]
    return known + [Status(name, applied=True) for name in sorted(applied - {each.id for each in migrations})]


def migrate(
    database_url: str, *, to: str | None = None, dry_run: bool = False, folder: Path = MIGRATIONS, waiting: Told | None = None
) -> list[Step]:
    """Apply what is missing, or go up or down until `to` (an id, or its number) is the last; return what was done."""
    migrations = _ordered(folder)
    wanted = len(migrations) if to is None else _position(migrations, to) + 1

    def plan(applied: frozenset[str]) -> Plan:
        up = [(Direction.APPLY, each) for each in migrations[:wanted] if each.id not in applied]
        down = [(Direction.ROLLBACK, each) for each in reversed(migrations[wanted:]) if each.id in applied]
        return [*down, *up]

    return _carry_out(plan, database_url, dry_run=dry_run, waiting=waiting or _silent)


def roll_back(
    database_url: str, *, steps: int = 1, dry_run: bool = False, folder: Path = MIGRATIONS, waiting: Told | None = None
) -> list[Step]:
    """Undo the last `steps` migrations that are applied; return what was done."""
    migrations = _ordered(folder)

    def plan(applied: frozenset[str]) -> Plan:
        known = [each for each in migrations if each.id in applied]
        return [(Direction.ROLLBACK, each) for each in reversed(known[len(known) - min(steps, len(known)) :])]

    return _carry_out(plan, database_url, dry_run=dry_run, waiting=waiting or _silent)


def new_migration(name: str, folder: Path = MIGRATIONS) -> list[Path]:
    """Write an empty migration and its rollback behind the last one; return both paths."""
    words = "-".join("".join(each if each.isalnum() else " " for each in name.lower()).split())
    if not words:
        raise MigrationError("a migration needs a name, such as add-price-index")
    existing = _ordered(folder)
    number = 1 + max((int(each.id.partition(".")[0]) for each in existing), default=0)
    stem = f"{number:04}.{words}"
    depends = existing[-1].id if existing else ""
    up, down = folder / f"{stem}.sql", folder / f"{stem}{ROLLBACK_SUFFIX}"
    lock = "SET LOCAL lock_timeout = '5s';\n"
    up.write_text(f"-- What this changes, and why it works with the code already running.\n-- depends: {depends}\n\n{lock}\n")
    down.write_text(lock)
    return [up, down]


def _carry_out(plan: Callable[[frozenset[str]], Plan], database_url: str, *, dry_run: bool, waiting: Told) -> list[Step]:
    """Plan over what is applied and do it under the lock; a dry run plans over what it sees, and takes no lock."""
    if dry_run:
        return [Step(direction, migration.id) for direction, migration in plan(_look(database_url))]
    with _backend(database_url, waiting) as backend:
        return _do(backend, plan(frozenset(row[0] for row in backend.execute(APPLIED).fetchall())))


def _look(database_url: str) -> frozenset[str]:
    with _connected(database_url) as connection:
        try:
            return frozenset(row[0] for row in connection.execute(APPLIED))
        except psycopg.errors.UndefinedTable:
            return frozenset()


def _do(backend: Backend, work: Plan) -> list[Step]:
    for direction, migration in work:
        try:
            _do_one(backend, direction, migration)
        except psycopg.Error as error:
            raise MigrationError(f"{migration.id}: {direction} failed, nothing of it was kept: {error}") from error
    return [Step(direction, migration.id) for direction, migration in work]


def _do_one(backend: Backend, direction: Direction, migration: Migration) -> None:
    """One transaction for the change and its mark, unless the file says that it cannot have one."""
    migration.load()
    if not migration.use_transactions:
        (backend.apply_one if direction is Direction.APPLY else backend.rollback_one)(migration)
        return
    with backend.transaction():
        migration.process_steps(backend, direction.value)
        (backend.mark_one if direction is Direction.APPLY else backend.unmark_one)(migration)


def _ordered(folder: Path) -> list[Migration]:
    return list(read_migrations(str(folder)))


def _position(migrations: Sequence[Migration], wanted: str) -> int:
    """Find a migration by its id or its number; `0` is before the first."""
    if wanted.isdecimal() and int(wanted) == 0:
        return -1
    for position, each in enumerate(migrations):
        number = each.id.partition(".")[0]
        if each.id == wanted or (wanted.isdecimal() and int(number) == int(wanted)):
            return position
    raise MigrationError(f"no migration {wanted}; there are {', '.join(each.id for each in migrations)}")


@contextmanager
def _backend(database_url: str, waiting: Told) -> Iterator[Backend]:
    os.environ.setdefault("LOGNAME", "kasparro")  # yoyo logs who migrates, and a container's user may have no name
    os.environ.setdefault("PGCONNECT_TIMEOUT", str(CONNECT_SECONDS))  # libpq's own, for the connection that yoyo makes
    with _advisory_lock(database_url, waiting):
        backend = get_backend(database_url.replace("postgresql://", "postgresql+psycopg://", 1))
        with backend:
            backend.ensure_internal_schema_updated()
            backend.break_lock()  # a killed process left it: a living one would hold the advisory lock
            try:
                with backend.lock(timeout=YOYO_LOCK_SECONDS):
                    yield backend
            except LockTimeout as error:
                raise MigrationError(f"somebody migrates with yoyo itself: {error}") from error


@contextmanager
def _advisory_lock(database_url: str, waiting: Told) -> Iterator[None]:
    with _connected(database_url) as connection:
        taken = connection.execute("SELECT pg_try_advisory_lock(%s)", [ADVISORY_LOCK]).fetchone()
        if taken != (True,):
            waiting("another process migrates this database; waiting for it")
            connection.execute("SELECT pg_advisory_lock(%s)", [ADVISORY_LOCK])
        yield


def _connected(database_url: str) -> "psycopg.Connection[tuple[Any, ...]]":
    try:
        return psycopg.connect(database_url, autocommit=True, connect_timeout=CONNECT_SECONDS)
    except psycopg.OperationalError as error:
        raise DatabaseUnreachableError(str(error).strip()) from error
    except psycopg.ProgrammingError:
        # Its words repeat the address, password included, and so must neither they nor a cause of ours.
        raise MigrationError(
            "the database's address cannot be read; it is postgresql://user:password@host:port/database, "
            "with what is special in the password as %XX"
        ) from None


def _silent(_message: str) -> None:
    return
