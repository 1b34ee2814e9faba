"""The operator of the suite: `kasparro` as a process of its own, which may be killed on the way."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import NamedTuple

import asyncpg

from tests.faults.pipeline import Pipeline
from tests.faults.processes import THIS, Release

COMMAND_SECONDS = 120.0


class Ended(NamedTuple):
    """How a command ended; the code is negative after a signal."""

    code: int
    output: str


async def kasparro(pipeline: Pipeline, *words: str, killed_after: float | None = None, release: Release = THIS) -> Ended:
    """Run a command to its end, or SIGKILL it after some seconds if it still runs then."""
    process = await asyncio.create_subprocess_exec(
        *release.command("-m", "services.cli", *words),
        cwd=release.tree,
        env={**pipeline.processes.environment, "PYTHONPATH": str(release.tree)},
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.STDOUT,
    )
    ending = asyncio.create_task(process.communicate())
    done, _ = await asyncio.wait({ending}, timeout=COMMAND_SECONDS if killed_after is None else killed_after)
    if not done:
        process.kill()
        pipeline.report.injected(f"SIGKILL kasparro {words[0]}")
    said, _ = await ending
    code = process.returncode
    assert code is not None
    assert killed_after is not None or done, f"kasparro {' '.join(words)} did not end:\n{said.decode()}"
    return Ended(code, said.decode())


@asynccontextmanager
async def refusing(pipeline: Pipeline, *tables: str, check: str) -> AsyncIterator[None]:
    """Let Postgres refuse, during the block, what does not fulfil the check in one of the tables."""
    pipeline.postgres_refused = True
    await execute(pipeline, [f"ALTER TABLE {table} ADD CONSTRAINT faults_refuse CHECK ({check}) NOT VALID" for table in tables])
    try:
        yield
    finally:
        await execute(pipeline, [f"ALTER TABLE {table} DROP CONSTRAINT faults_refuse" for table in tables])


async def execute(pipeline: Pipeline, statements: list[str]) -> None:
    connection = await asyncpg.connect(pipeline.servers.database_url, timeout=10, command_timeout=30)
    try:
        for statement in statements:
            await connection.execute(statement)
    finally:
        await connection.close(timeout=5)
