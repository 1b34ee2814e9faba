"""What is measured, as processes of their own, told in their environment where the benchmark's broker and database are."""

import asyncio
import os
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, nullcontext, suppress
from pathlib import Path

import psutil

from benchmarks.ground import ROOT, Ground


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

    What it says goes to `log`, or else to where we speak.
    """
    told = {
        "KAFKA_BOOTSTRAP_SERVERS": ground.connection.bootstrap_servers,
        "DATABASE_URL": ground.database_url,
        "LOG_LEVEL": "WARNING",
    }
    with Path(log).open("wb") if log else nullcontext() as output:  # noqa: ASYNC230 - a file beside us
        child = await asyncio.create_subprocess_exec(
            *(python, "-m", module), *arguments, cwd=ROOT, env=os.environ | told | environment, stdout=output, stderr=output
        )
    try:
        yield psutil.Process(child.pid)
    finally:
        with suppress(ProcessLookupError):
            child.terminate()
        await child.wait()


def cpu_seconds(process: psutil.Process) -> float:
    """Return what a process has used so far, in both modes."""
    times = process.cpu_times()
    return float(times.user + times.system)
