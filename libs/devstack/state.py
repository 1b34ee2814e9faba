"""Where a stack keeps what must outlive it, one at a time: `.kasparro`, with real and made-up data in folders of their own."""

import fcntl
import os
import shutil
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path

import msgspec

from libs.devstack.errors import StateError
from libs.devstack.guard import GRACE_SECONDS

LEFT_OVER_SECONDS = GRACE_SECONDS + 4
"""How long the children of a killed stack may take to end; until then they hold its lock."""

LOOK_SECONDS = 0.1
ENOUGH_BYTES = 500_000_000
FEW_BYTES = 150_000_000
"""A running stack with less than this soon stops working: Kafka and Postgres both end when they cannot write."""

LARGEST_LOG_BYTES = 10_000_000


class Kind(StrEnum):
    """What the data are. They never meet."""

    REAL = "real"
    SANDBOX = "sandbox"


class Addresses(msgspec.Struct, frozen=True):
    """Where a running stack is: what the other commands use when the environment names nothing."""

    pid: int
    kafka_bootstrap_servers: str | None = None
    database_url: str | None = None
    api_url: str | None = None
    sandbox: bool = False


@dataclass(frozen=True, slots=True)
class StateFolder:
    """The folder of one kind of data."""

    root: Path
    kind: Kind

    @property
    def kafka(self) -> Path:
        """The broker's."""
        return self.root / self.kind / "kafka"

    @property
    def postgres(self) -> Path:
        """The database's."""
        return self.root / self.kind / "postgres"

    def log(self, name: str) -> Path:
        """One service's log."""
        return self.root / self.kind / "logs" / f"{name}.log"

    def turn_logs_over(self) -> None:
        """Put large logs of earlier runs aside, one of each."""
        for path in self.log("any").parent.glob("*.log"):
            if path.stat().st_size > LARGEST_LOG_BYTES:
                path.replace(path.with_suffix(".log.old"))


@contextmanager
def alone(root: Path, *, waiting: Callable[[str], None], otherwise: str = "or start this one in another clone") -> Iterator[int]:
    """Hold `root` for this process and yield the lock's descriptor: whoever inherits it keeps the lock.

    Children of a stack that was killed are waited for; a stack that lives is an error that says where it is, how to stop it,
    and what else to do (`otherwise`).
    """
    root.mkdir(parents=True, exist_ok=True)
    descriptor = os.open(root / "lock", os.O_RDWR | os.O_CREAT, 0o600)
    try:
        _lock(descriptor, root, waiting, otherwise)
        os.ftruncate(descriptor, 0)
        os.pwrite(descriptor, f"{os.getpid()}\n".encode(), 0)
        yield descriptor
        (root / "addresses.json").unlink(missing_ok=True)
    finally:
        os.close(descriptor)


def _lock(descriptor: int, root: Path, waiting: Callable[[str], None], otherwise: str) -> None:
    deadline = time.monotonic() + LEFT_OVER_SECONDS
    told = False
    while True:
        with suppress(BlockingIOError):
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
            return
        holder = os.pread(descriptor, 20, 0).decode().strip()
        if (holder and _is_alive(int(holder))) or time.monotonic() > deadline:
            known = read_addresses(root)
            where = f" and answers at {known.api_url}" if known and known.api_url else ""
            raise StateError(
                f"Kasparro already runs here (process {holder or 'unknown'}){where}. "
                f"Stop it with Ctrl-C or `kill {holder}`, {otherwise}."
            )
        if not told:
            waiting("An earlier run was killed; waiting until what it started has ended")
            told = True
        time.sleep(LOOK_SECONDS)


def _is_alive(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    except PermissionError:
        return True
    return True


def write_addresses(root: Path, addresses: Addresses) -> None:
    """Say where the running stack is. The file holds the database's password: nobody else may read it."""
    partial = root / "addresses.json.new"
    partial.touch(mode=0o600)
    partial.write_bytes(msgspec.json.encode(addresses))
    partial.replace(root / "addresses.json")


def read_addresses(root: Path) -> Addresses | None:
    """Return where the running stack is, or None when none runs."""
    with suppress(FileNotFoundError, msgspec.DecodeError):
        addresses = msgspec.json.decode((root / "addresses.json").read_bytes(), type=Addresses)
        return addresses if _is_alive(addresses.pid) else None
    return None


def clean(root: Path) -> None:
    """Delete everything in `root`; refused while a stack runs there."""
    if not root.exists():
        return
    with alone(root, waiting=lambda _message: None, otherwise="then empty its state"):
        for path in root.iterdir():
            if path.is_dir() and not path.is_symlink():
                shutil.rmtree(path)
            elif path.name != "lock":
                path.unlink()


def check_room(root: Path, *, needed: int = ENOUGH_BYTES) -> None:
    """Raise when the disk has less than `needed` bytes left."""
    free = shutil.disk_usage(root).free
    if free < needed:
        raise StateError(
            f"The disk of {root} is nearly full: {free // 1_000_000} MB left, {needed // 1_000_000} MB needed. "
            "Free some, or empty old state with `make clean-state`."
        )
