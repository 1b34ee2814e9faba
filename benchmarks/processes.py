"""What is measured, as processes of their own, told in their environment where the benchmark's broker and database are."""

import asyncio
import os
import sys
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager, nullcontext, suppress
from pathlib import Path
from typing import BinaryIO

import psutil
from aiokafka.admin import AIOKafkaAdminClient

from benchmarks.ground import ROOT, Ground
from libs.kafka.members import Member, describe

JOINED_SECONDS = 60.0


@asynccontextmanager
async def service(
    ground: Ground,
    module: str,
    *arguments: str,
    python: str | Path = sys.executable,
    log: str | Path | None = None,
    **environment: str,
) -> AsyncIterator[psutil.Process]:
    """Run a module until the block is left; what it wrote and did not commit is its own business then.

    What it logs goes to the end of `log`, or where our own words go.
    """
    told = {
        "KAFKA_BOOTSTRAP_SERVERS": ground.connection.bootstrap_servers,
        "DATABASE_URL": ground.database_url,
        "LOG_LEVEL": "WARNING",
    }
    with nullcontext() if log is None else _appended(log) as said:
        child = await asyncio.create_subprocess_exec(
            python, "-m", module, *arguments, cwd=ROOT, env=os.environ | told | environment, stderr=said
        )
    try:
        yield psutil.Process(child.pid)
    finally:
        with suppress(ProcessLookupError):
            child.terminate()
        await child.wait()


def _appended(log: str | Path) -> BinaryIO:
    return Path(log).open("ab")


def cpu_seconds(process: psutil.Process) -> float:
    """Return what a process has used so far, in both modes."""
    times = process.cpu_times()
    return float(times.user + times.system)


async def joined(ground: Ground, group: str, members: int) -> None:
    """Wait until so many are in the group and know their partitions: who takes over in a run may ask for a page once more."""
    admin = AIOKafkaAdminClient(**ground.connection.options())
    await admin.start()
    try:
        async with asyncio.timeout(JOINED_SECONDS):
            while not _is_settled(*await describe(admin, group), wanted=members):  # noqa: ASYNC110 - other processes
                await asyncio.sleep(0.2)
    finally:
        await admin.close()


def _is_settled(state: str, members: Sequence[Member], *, wanted: int) -> bool:
    return state == "Stable" and len(members) == wanted


def is_alive(process: psutil.Process) -> bool:
    """Whether it has not ended by itself."""
    return process.is_running() and process.status() != psutil.STATUS_ZOMBIE
