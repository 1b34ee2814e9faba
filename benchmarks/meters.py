"""What a run has cost: CPU by process and thread, bytes of a topic's log, bytes of the write-ahead log by what they are."""

import asyncio
from collections.abc import Sequence
from typing import NamedTuple

import psutil

from benchmarks.ground import Ground
from libs.devstack.database import MAJOR, binary

PLACES = """
    SELECT concat_ws('/', 1663, pg_database.oid, pg_relation_filenode(name::regclass))
    FROM pg_database, unnest($1::text[]) AS name WHERE datname = current_database()"""
"""Tablespace, database and file, as pg_waldump names a relation."""
POSITION = "SELECT pg_current_wal_insert_lsn()::text"


class Cpu(NamedTuple):
    """Seconds used so far: the normalizer's main thread and its other ones, Postgres with all its backends, the broker."""

    main: float
    threads: float
    postgres: float
    broker: float

    def since(self, before: "Cpu") -> "Cpu":
        """Return what was used in between."""
        return Cpu(*(now - then for now, then in zip(self, before, strict=True)))


class Wal(NamedTuple):
    """Bytes of the write-ahead log: all, of them images of whole pages, and of them records of indexes."""

    total: int
    images: int
    indexes: int


def cpu(ground: Ground, process: psutil.Process | None = None) -> Cpu:
    """Read the clocks; the first two are 0 without a process."""
    main = whole = 0.0
    if process is not None:
        whole = sum(thread.user_time + thread.system_time for thread in process.threads())
        main = sum(thread.user_time + thread.system_time for thread in process.threads() if thread.id == process.pid)
    return Cpu(main, whole - main, family_seconds(ground.postgres_pid), family_seconds(ground.broker_pid))


def family_seconds(pid: int) -> float:
    """Return what a process, its children, and those of them that have ended have used."""
    parent = psutil.Process(pid)
    own = parent.cpu_times()
    seconds = own.user + own.system + own.children_user + own.children_system
    for child in parent.children(recursive=True):
        try:
            times = child.cpu_times()
        except psutil.NoSuchProcess:
            continue
        seconds += times.user + times.system
    return float(seconds)


def log_bytes(ground: Ground, topic: str) -> int:
    """Return what the segments of a topic's partitions take on the broker's disk, indexes left out."""
    return sum(path.stat().st_size for path in ground.broker_data.glob(f"{topic}-[0-9]*/*.log"))


async def wal_position(ground: Ground) -> str:
    """Return where the write-ahead log stands."""
    return str(await ground.pool.fetchval(POSITION))


async def wal_between(ground: Ground, start: str, end: str, *, relations: Sequence[str] = ()) -> Wal:
    """Let pg_waldump add up what was written in between, to these tables and indexes alone if any are named."""
    await ground.pool.execute("SELECT pg_switch_wal()")  # so that all of it is in the files
    if not relations:
        return await _dump(ground, start, end)
    places = await ground.pool.fetch(PLACES, relations)
    each = [await _dump(ground, start, end, "--relation", row[0]) for row in places]
    return Wal(*(sum(column) for column in zip(*each, strict=True)))


async def _dump(ground: Ground, start: str, end: str, *only: str) -> Wal:
    folder = ground.postgres_data / "pg_wal"
    process = await asyncio.create_subprocess_exec(
        *(binary("pg_waldump"), "--stats", "--path", folder, "--start", start, "--end", end),
        *only,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE,
    )
    said, errors = await process.communicate()
    if process.returncode != 0:
        raise SystemExit(f"error: pg_waldump (Postgres {MAJOR}): {errors.decode().strip()}")
    return read_waldump(said.decode().splitlines())


def read_waldump(lines: Sequence[str]) -> Wal:
    """Read its table: a line a kind of record, with how many, their bytes, those of page images, and both, shares in between."""
    words = [line.split() for line in lines if line.startswith(("Btree ", "Total "))]
    numbers = {row[0]: [int(word) for word in row if word.isdigit()] for row in words}
    _, records, images, both = numbers["Total"]
    _, index_records, *_ = numbers.get("Btree", [0, 0])
    if records + images != both:
        raise SystemExit("error: pg_waldump's table is not as it was")
    return Wal(both, images, index_records)
