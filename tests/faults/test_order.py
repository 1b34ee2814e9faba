"""Ticks that come again, and out of order: what the tables say depends on the set of ticks alone."""

from collections.abc import Sequence

import pytest

from libs.contracts.topics import SOURCE_TOPICS
from libs.kafka.publishing import open_publisher
from libs.kafka.records import Record
from libs.kafka.tailing import TopicRecord, read_to_end
from tests.faults.conftest import Stage
from tests.faults.ledger import INJECTED
from tests.faults.pipeline import POLLED

AGAIN = 1_500
pytestmark = pytest.mark.timeout(1800)


async def test_ticks_that_are_delivered_again_and_out_of_order(stage: Stage) -> None:
    """Only ticks of runs that have ended are sent again: another's would be counted for a run that still goes on."""
    async with stage.fault():
        await stage.a_while(4, 6)
    for _ in range(stage.rounds):
        held = await everything(stage)
        async with stage.fault():
            await send_again(stage, held)
            await stage.a_while(0, 1)
            await stage.end("normalizer", "SIGKILL")
            await send_again(stage, held)
            await stage.a_while(0, 1)
            stage.pipeline.start_missing()
            await stage.a_while()


async def everything(stage: Stage) -> list[TopicRecord]:
    topics = [SOURCE_TOPICS[source].raw.name for source in POLLED]
    return [one for topic in topics for one in await read_to_end(stage.pipeline.connection, topic)]


async def send_again(stage: Stage, held: Sequence[TopicRecord]) -> None:
    again = stage.random.choices(held, k=AGAIN)  # with repeats, in any order
    stage.pipeline.report.injected("tick delivered again", len(again))
    async with open_publisher(stage.pipeline.connection) as publisher:
        await publisher.publish([Record(one.topic, one.key, one.value, ((INJECTED, b"1"),)) for one in again])
