"""Clients of the stream, while whatever is between the market and them is killed, and they themselves."""

import pytest

from tests.faults.conftest import Stage
from tests.faults.listening import listening

pytestmark = pytest.mark.timeout(1800)

FAULTS = ("broker", "query", "query", "clients", "clients", "normalizer")


async def test_every_assets_last_version_reaches_every_client(stage: Stage) -> None:
    pipeline, report = stage.pipeline, stage.pipeline.report
    for _ in range(stage.rounds):
        async with listening(pipeline) as clients:
            async with stage.fault():
                for what in stage.random.sample(FAULTS, k=len(FAULTS)):
                    await stage.a_while()
                    if what == "broker":
                        report.injected("SIGKILL broker, under clients of the stream")
                        pipeline.servers.kill_broker()
                        await stage.a_while(0, 2)
                        await pipeline.servers.start_broker()
                    elif what == "clients":
                        report.injected("clients of the stream break off")
                        clients.break_off()
                    elif what == "normalizer":
                        await stage.end("normalizer", "SIGKILL")
                    else:
                        await stage.end("query", stage.random.choice(("SIGKILL", "SIGTERM")))
                    pipeline.start_missing()
                await stage.a_while()
            await clients.until_all_hold_the_newest()


async def test_a_client_that_comes_after_everything_was_killed_at_once_goes_on(stage: Stage) -> None:
    pipeline = stage.pipeline
    for _ in range(stage.rounds):
        async with listening(pipeline) as clients:
            async with stage.fault():
                await stage.a_while()
                pipeline.servers.kill_broker()
                for kind in ("normalizer", "query"):
                    await stage.end(kind, "SIGKILL")
                clients.break_off()
                await stage.a_while(0, 2)
                await pipeline.servers.start_broker()
                pipeline.start_missing()
                await stage.a_while()
            await clients.until_all_hold_the_newest()
