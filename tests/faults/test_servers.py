"""The broker and the database, killed and gone for a while, one and both."""

import asyncio
import time
from collections.abc import Awaitable, Callable, Mapping, Sequence
from datetime import UTC, datetime, timedelta
from itertools import product
from typing import Literal

import pytest

from tests.faults.conftest import Stage
from tests.faults.processes import Kind

Server = Literal["broker", "postgres"]
SERVERS: tuple[Server, ...] = ("broker", "postgres")
KILLED: tuple[Kind, ...] = ("coingecko", "normalizer")
AWAY_SECONDS = 30.0
MOST_ROUNDS_AWAY = 2
pytestmark = pytest.mark.timeout(1800)


NAMES: Mapping[Server, str] = {"broker": "kafka", "postgres": "postgres"}
"""As health calls them."""


async def kill_and_start(
    stage: Stage, which: Sequence[Server], away_seconds: float, *, meanwhile: Callable[[], Awaitable[None]] | None = None
) -> None:
    """Kill servers and start them again; `meanwhile` is done when half of the time is over."""
    servers, report = stage.pipeline.servers, stage.pipeline.report
    for server in which:
        report.injected(f"SIGKILL {server}, away {'30 s' if away_seconds == AWAY_SECONDS else 'for a moment'}")
        if server == "broker":
            servers.kill_broker()
        else:
            servers.kill_database()
    await asyncio.sleep(away_seconds / 2)
    begun = time.monotonic()
    if meanwhile is not None:
        await meanwhile()
    await asyncio.sleep(max(0.0, begun + away_seconds / 2 - time.monotonic()))
    async with asyncio.TaskGroup() as tasks:
        if "broker" in which:
            tasks.create_task(servers.start_broker())
        if "postgres" in which:
            tasks.create_task(servers.start_database())
    report.step(f"{' and '.join(which)} back")


@pytest.mark.parametrize("which", [("broker",), ("postgres",), ("broker", "postgres")], ids="-and-".join)
async def test_servers_that_are_killed_and_started_again(stage: Stage, which: Sequence[Server]) -> None:
    for _ in range(stage.rounds):
        async with stage.fault():
            await stage.a_while()
            await kill_and_start(stage, which, stage.random.uniform(0, 3))
            await stage.a_while()


@pytest.mark.parametrize("which", [("broker",), ("postgres",), ("broker", "postgres")], ids="-and-".join)
async def test_servers_that_are_away_for_half_a_minute(stage: Stage, which: Sequence[Server]) -> None:
    """Health says since when and why; a worker that waits for Postgres stays what it was in its group."""
    pipeline = stage.pipeline

    async def health_says_so() -> None:
        api, normalizer = await pipeline.get("/health"), await pipeline.get("/health", of=pipeline.normalizer_url)
        assert normalizer["status"] == "waiting", normalizer
        for told, name in product((api, normalizer), (NAMES[server] for server in which)):
            dependency = told["dependencies"][name]
            assert dependency["status"] == "down", told
            assert dependency["error"], told
            assert killed_at <= datetime.fromisoformat(dependency["since"]) < datetime.now(UTC) - timedelta(seconds=2), told

    for _ in range(min(stage.rounds, MOST_ROUNDS_AWAY)):
        async with stage.fault():
            await stage.a_while()
            before = await pipeline.get("/health", of=pipeline.normalizer_url)
            killed_at = datetime.now(UTC)
            await kill_and_start(stage, which, AWAY_SECONDS, meanwhile=health_says_so)
            await stage.a_while()
            after = await pipeline.get("/health", of=pipeline.normalizer_url)
            if "broker" not in which:
                assert [after[name] for name in ("member_id", "generation")] == [
                    before[name] for name in ("member_id", "generation")
                ]


async def test_services_that_are_killed_while_a_server_is_away(stage: Stage) -> None:
    """What a service remembers of an outage dies with it; what it has promised does not."""
    for _ in range(stage.rounds):
        for server in SERVERS:
            async with stage.fault():
                await stage.a_while()
                away = asyncio.create_task(kill_and_start(stage, [server], 4))
                await stage.a_while(0.5, 2)
                for kind in KILLED:
                    await stage.end(kind, "SIGKILL")
                await stage.a_while(0, 1)
                stage.pipeline.start_missing()
                await away
                await stage.a_while()
