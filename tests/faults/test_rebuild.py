"""The tables emptied and replayed from the beginning: the same rows, and subscribers hold the same assets."""

import asyncio
from typing import Any

import pytest
from aiokafka import TopicPartition
from aiokafka.admin import AIOKafkaAdminClient, RecordsToDelete

from libs.contracts.topics import NORMALIZER_GROUP, SOURCE_TOPICS
from libs.streaming.checkpoints import open_checkpoints
from tests.faults.conftest import Stage
from tests.faults.operator import execute, kasparro
from tests.faults.pipeline import POLLED, Pipeline
from tests.faults.tables import Tables, read_tables
from tests.integration.recovery.test_kafkas_own_tool import run_tool, tool_classpath

__all__ = ["tool_classpath"]  # a fixture

REBUILD = ("replay", "--to", "beginning", "--rebuild")
RESET = ("--reset-offsets", "--to-earliest", "--all-topics", "--execute")
EMPTY = "TRUNCATE raw_coingecko, raw_coinpaprika, raw_csv, quotes, assets"
CHANGING_STEPS = 60
"""After so many, next to none of the listings says what it said before: a third changes at each."""
pytestmark = pytest.mark.timeout(1800)


async def test_tables_that_are_emptied_and_replayed_are_equal(stage: Stage) -> None:
    """Ignored are the surrogate ids of raw rows and the versions, which go on growing. Operator and worker die on the way."""
    pipeline = stage.pipeline
    for _ in range(stage.rounds):
        async with stage.fault():
            await stage.a_while(4, 6)
        before = contents(await read_tables(pipeline.servers.database_url))
        await stage.end("normalizer", "SIGTERM")
        for _ in range(3):
            await kasparro(pipeline, *REBUILD, "--yes", killed_after=stage.random.uniform(0.5, 3.0))
        ended = await kasparro(pipeline, *REBUILD, "--yes")
        assert ended.code == 0, ended.output
        pipeline.report.injected("tables emptied and replayed")
        pipeline.start_missing()
        await stage.a_while(1, 2)
        await stage.end("normalizer", "SIGKILL")  # in the middle of it, more likely than not
        pipeline.start_missing()
        await equal_again(pipeline, before)
        await stage.audit.check()


async def test_tables_that_are_emptied_while_producers_go_on_hold_everything_in_the_end(stage: Stage) -> None:
    pipeline = stage.pipeline
    for _ in range(stage.rounds):
        async with stage.fault():
            await stage.a_while(2, 4)
            await stage.end("normalizer", "SIGTERM")
            ended = await kasparro(pipeline, *REBUILD)
            assert ended.code == 0, ended.output
            pipeline.report.injected("tables emptied and replayed under load")
            await stage.a_while(1, 2)
            pipeline.start_missing()
            await stage.a_while(1, 3)
            await stage.end("normalizer", "SIGKILL")
            pipeline.start_missing()
            await stage.a_while(1, 2)


async def test_a_replay_over_full_tables_changes_nothing_even_with_workers_that_die(stage: Stage) -> None:
    pipeline = stage.pipeline
    for _ in range(stage.rounds):
        async with stage.fault():
            await stage.a_while(4, 6)
        before = contents(await read_tables(pipeline.servers.database_url))
        await stage.end("normalizer", "SIGTERM")
        ended = await kasparro(pipeline, "replay", "--to", "beginning")
        assert ended.code == 0, ended.output
        pipeline.start_missing()
        for _ in range(2):
            await stage.a_while(1, 3)
            await stage.end("normalizer", "SIGKILL")
            pipeline.start_missing()
        await equal_again(pipeline, before)
        await stage.audit.check()


async def test_emptied_tables_and_kafkas_own_tool(stage: Stage, tool_classpath: str) -> None:
    """Who knows Kafka's tool and a little SQL needs nothing of ours."""
    pipeline = stage.pipeline
    for _ in range(stage.rounds):
        async with stage.fault():
            await stage.a_while(4, 6)
        before = contents(await read_tables(pipeline.servers.database_url))
        await stage.end("normalizer", "SIGTERM")
        await run_tool(tool_classpath, pipeline.connection, NORMALIZER_GROUP, *RESET)
        await execute(pipeline, [EMPTY])
        pipeline.report.injected("tables emptied and replayed by Kafka's own tool")
        pipeline.start_missing()
        await equal_again(pipeline, before)
        await stage.audit.check()


async def test_what_retention_has_eaten_stalls_nobody_and_is_in_the_ledger(stage: Stage) -> None:
    """What was never read is lost, is told, and is all that is missing; its runs fail and say so."""
    pipeline, stage.audit.whole_answers_again = stage.pipeline, True  # of two equal contents, what stood between may be gone
    for _ in range(stage.rounds):
        async with stage.fault():
            await stage.a_while(3, 4)
        await stage.end("normalizer", "SIGTERM")
        async with pipeline.under_load(stage.random):
            await stage.a_while(4, 6)
        lost = await eat_half_of_what_waits(stage)
        pipeline.start_missing()
        await pipeline.until_quiet(150)
        told = (await pipeline.get("/stats/gaps?kind=offsets_lost&limit=100"))["gaps"]
        gaps = {(gap["topic"], gap["partition"]): (gap["from_offset"], gap["to_offset"]) for gap in told}
        for place, (start, kept) in lost.items():
            # Where the oldest that is kept is the marker of a transaction, the first record comes after it.
            first = min(
                origin.offset
                for origin in pipeline.ledger.ticks
                if (origin.topic, origin.partition) == place and origin.offset >= kept
            )
            assert gaps[place][0] == start, f"{place}: {gaps[place]} is told, {start} to {kept} is lost"
            assert kept <= gaps[place][1] <= first, f"{place}: {gaps[place]} is told, the first record kept is {first}"
        await pipeline.provider.advance(CHANGING_STEPS)  # what was lost was news once; every listing has other news now
        await stage.audit.check()


Place = tuple[str, int]


async def eat_half_of_what_waits(stage: Stage) -> dict[Place, tuple[int, int]]:
    """Do what retention does; return for each partition from where to where what was never read is gone."""
    pipeline = stage.pipeline
    async with open_checkpoints(pipeline.connection, NORMALIZER_GROUP) as checkpoints:
        committed = await checkpoints.committed()
    await pipeline.ledger.read_on(30)
    eaten: dict[Place, tuple[int, int]] = {}
    for topic in (SOURCE_TOPICS[source].raw.name for source in POLLED):
        for place, end in pipeline.ledger.positions.items():
            start = committed.get((place.topic, place.partition), 0)
            if place.topic == topic and end - start > 1:
                eaten[topic, place.partition] = (start, start + (end - start) // 2)
    assert eaten
    admin = AIOKafkaAdminClient(**pipeline.connection.options())
    await admin.start()
    try:
        async with asyncio.timeout(30):
            await admin.delete_records(
                {TopicPartition(*place): RecordsToDelete(before_offset=to) for place, (_, to) in eaten.items()}
            )
    finally:
        await admin.close()
    ticks = sum(pipeline.ledger.forget(*place, range(start, to)) for place, (start, to) in eaten.items())
    pipeline.report.injected("tick that retention removed unread", ticks)
    return eaten


async def equal_again(pipeline: Pipeline, before: dict[str, Any]) -> None:
    await pipeline.until_quiet(150)
    after = contents(await read_tables(pipeline.servers.database_url))
    assert after.keys() == before.keys()
    for name, held in before.items():
        assert after[name] == held, f"{name} came back otherwise"


def contents(tables: Tables) -> dict[str, Any]:
    raw = {source: frozenset(held) for source, held in tables.raw.items()}
    assets = {uid: {name: value for name, value in asset.items() if name != "version"} for uid, asset in tables.assets.items()}
    return {"raw rows": raw, "quotes": dict(tables.quotes), "assets": assets, "runs": dict(tables.runs)}
