import asyncio
import os
import time
from collections.abc import Awaitable, Callable
from itertools import pairwise
from typing import Any

import pytest
from aiokafka import AIOKafkaConsumer, AIOKafkaProducer, TopicPartition
from aiokafka.admin import AIOKafkaAdminClient, RecordsToDelete
from aiokafka.consumer.fetcher import Fetcher
from aiokafka.coordinator.assignors.roundrobin import RoundRobinPartitionAssignor
from aiokafka.errors import InconsistentGroupProtocolError, KafkaError
from aiokafka.record.default_records import DefaultRecordBase, _DefaultRecordBatchBuilderPy

from libs.kafka.connection import KafkaConnection
from libs.kafka.publishing import Publisher
from libs.kafka.records import Record
from libs.streaming.agents import Chunks, add_agent, create_chunk_app, run_app
from libs.streaming.chunks import Chunk
from tests.integration.streaming.conftest import (
    Handled,
    MakeTopic,
    agent_running,
    committed,
    eventually,
    handling,
)


def records(topic: str, count: int, first: int = 0, partition: int | None = None) -> list[Record]:
    return [Record(topic, b"k%d" % number, b"v%d" % number, partition=partition) for number in range(first, first + count)]


class Gaps:
    """What an app was told of gaps."""

    def __init__(self) -> None:
        self.noted: list[tuple[str, int, int, int]] = []

    async def note(self, *gap: Any) -> None:
        self.noted.append(gap)


async def remove_before(connection: KafkaConnection, topic: str, offset: int) -> None:
    """Do what retention does."""
    admin = AIOKafkaAdminClient(**connection.options())
    await admin.start()
    await admin.delete_records({TopicPartition(topic, 0): RecordsToDelete(before_offset=offset)})
    await admin.close()


async def test_every_record_arrives_once_and_in_order_and_its_offset_is_committed(
    connection: KafkaConnection, publisher: Publisher, group: str, make_topic: MakeTopic
) -> None:
    one, other = (await make_topic(partitions=3)).name, (await make_topic(partitions=2)).name
    await publisher.publish(records(one, 7_000) + records(other, 500))
    handled = Handled()
    async with agent_running(connection, group, [one, other], handling(handled), chunk_records=1_000):
        await eventually(lambda: len(handled.values) >= 7_500, "all records handled")
        ends = {(chunk.topic, chunk.partition): chunk.end for chunk in handled.chunks}

        async def all_committed() -> bool:
            return await committed(connection, group) == ends

        await eventually(all_committed, "the ends are committed")
    assert len(handled.values) == 7_500
    assert max(len(chunk) for chunk in handled.chunks) <= 1_000
    for place in ends:
        offsets = [r.offset for chunk in handled.chunks if (chunk.topic, chunk.partition) == place for r in chunk.records]
        assert offsets == list(range(len(offsets)))


async def test_what_was_not_acknowledged_comes_again(
    connection: KafkaConnection, publisher: Publisher, group: str, make_topic: MakeTopic
) -> None:
    topic = (await make_topic()).name
    await publisher.publish(records(topic, 10))
    before, after = Handled(), Handled()
    async with agent_running(connection, group, [topic], handling(before, acknowledge=False)):
        await eventually(lambda: len(before.values) == 10, "handled, not acknowledged")
    async with agent_running(connection, group, [topic], handling(after)):
        await eventually(lambda: len(after.values) == 10, "handled again")
    assert before.values == after.values


async def test_only_acknowledged_chunks_move_the_offset(
    connection: KafkaConnection, publisher: Publisher, group: str, make_topic: MakeTopic
) -> None:
    topic = (await make_topic()).name
    await publisher.publish(records(topic, 30))
    third_reached = asyncio.Event()

    async def work(chunks: Chunks) -> None:
        number = 0
        async for chunk in chunks.unacknowledged():
            number += 1
            if number == 3:
                third_reached.set()
                await asyncio.Event().wait()
            chunks.acknowledge(chunk)

    async with agent_running(connection, group, [topic], work, chunk_records=10):
        await asyncio.wait_for(third_reached.wait(), 20)

        async def two_chunks_committed() -> bool:
            return await committed(connection, group) == {(topic, 0): 20}

        await eventually(two_chunks_committed, "two chunks committed")
    assert await committed(connection, group) == {(topic, 0): 20}


async def test_a_failing_agent_ends_the_app_with_its_error_and_keeps_the_offset(
    connection: KafkaConnection, publisher: Publisher, group: str, make_topic: MakeTopic
) -> None:
    topic = (await make_topic()).name
    await publisher.publish(records(topic, 5))

    async def work(chunks: Chunks) -> None:
        async for _ in chunks.unacknowledged():
            raise ZeroDivisionError("a bug")

    async with agent_running(connection, group, [topic], work) as running:
        with pytest.raises(ZeroDivisionError, match="a bug"):
            await asyncio.wait_for(running, 20)
    assert await committed(connection, group) == {}


async def test_an_error_of_the_consumer_ends_the_app_with_it(
    connection: KafkaConnection, publisher: Publisher, group: str, make_topic: MakeTopic
) -> None:
    topic = (await make_topic()).name
    await publisher.publish(records(topic, 5))
    handled = Handled()
    app = create_chunk_app(connection, group, chunk_records=10)
    add_agent(app, "work", [topic], handling(handled))
    running = asyncio.create_task(run_app(app))
    await eventually(lambda: len(handled.values) == 5, "five handled")

    async def fail(*_: object, **__: object) -> None:
        raise ZeroDivisionError("in the driver")

    consumer: Any = app.consumer
    consumer._thread._consumer._fetcher.fetched_records = fail
    with pytest.raises(ZeroDivisionError, match="in the driver"):
        await asyncio.wait_for(running, 20)


async def test_a_single_record_arrives_at_once(
    connection: KafkaConnection, publisher: Publisher, group: str, make_topic: MakeTopic
) -> None:
    topic = (await make_topic()).name
    await publisher.publish(records(topic, 1))
    handled = Handled()
    async with agent_running(connection, group, [topic], handling(handled)):
        await eventually(lambda: len(handled.values) == 1, "the first record")
        waits = []
        for number in range(2, 12):
            started = time.monotonic()
            await publisher.publish(records(topic, 1))
            await eventually(lambda number=number: len(handled.values) == number, "the next record")  # type: ignore[misc]
            waits.append(time.monotonic() - started)
    assert sorted(waits)[5] < 0.15


async def test_markers_are_not_committed_before_the_records_in_front_of_them(
    connection: KafkaConnection, group: str, make_topic: MakeTopic
) -> None:
    topic, other = (await make_topic()).name, (await make_topic()).name
    handled = Handled()

    async def work(chunks: Chunks) -> None:
        async for chunk in chunks.unacknowledged():
            handled.chunks.append(chunk)
            if chunk.topic == other:
                chunks.acknowledge(chunk)

    async with agent_running(connection, group, [topic, other], work):
        producer = AIOKafkaProducer(**connection.options(), transactional_id=f"tx-{topic}")
        await producer.start()
        for number in range(3):
            await producer.begin_transaction()
            await producer.send_and_wait(topic, b"v%d" % number, b"k", partition=0)
            await producer.commit_transaction()
            await eventually(lambda number=number: len(handled.chunks) == number + 1, "the record")  # type: ignore[misc]
        await producer.begin_transaction()
        await producer.send_and_wait(other, b"v", b"k", partition=0)
        await producer.commit_transaction()
        await producer.stop()

        async def the_other_is_committed() -> bool:
            return (await committed(connection, group)).get((other, 0)) == 2

        await eventually(the_other_is_committed, "the other topic's record and marker are committed")
    assert await committed(connection, group) == {(other, 0): 2}


async def test_chunks_acknowledged_out_of_order_are_committed_in_order(
    connection: KafkaConnection, publisher: Publisher, group: str, make_topic: MakeTopic
) -> None:
    topic = (await make_topic()).name
    await publisher.publish(records(topic, 30))
    held: list[Chunk] = []

    async def all_committed() -> bool:
        return await committed(connection, group) == {(topic, 0): 30}

    async def work(chunks: Chunks) -> None:
        async for chunk in chunks.unacknowledged():
            held.append(chunk)
            if len(held) == 3:
                chunks.acknowledge(held[2])
                chunks.acknowledge(held[1])
                await asyncio.sleep(0.5)
                assert await committed(connection, group) == {}
                chunks.acknowledge(held[0])

    async with agent_running(connection, group, [topic], work, chunk_records=10) as running:
        await eventually(all_committed, "all committed")
        assert not running.done()


async def test_lag_reads_zero_after_a_transaction(connection: KafkaConnection, group: str, make_topic: MakeTopic) -> None:
    topic = (await make_topic()).name
    handled = Handled()
    async with agent_running(connection, group, [topic], handling(handled)):
        producer = AIOKafkaProducer(**connection.options(), transactional_id=f"tx-{topic}")
        await producer.start()
        await producer.begin_transaction()
        await producer.send_and_wait(topic, b"v", b"k", partition=0)
        await producer.commit_transaction()
        await producer.begin_transaction()
        await producer.send_and_wait(topic, b"aborted", b"k", partition=0)
        await producer.abort_transaction()
        await producer.stop()

        async def past_the_markers() -> bool:
            return await committed(connection, group) == {(topic, 0): 4}

        await eventually(past_the_markers, "committed past record, marker, aborted record, marker")
    assert handled.values == [b"v"]
    for earlier, later in pairwise(handled.chunks):
        assert later.start == earlier.end


async def test_a_rebalance_under_load_loses_nothing_and_each_partition_has_one_owner(
    connection: KafkaConnection, publisher: Publisher, group: str, make_topic: MakeTopic
) -> None:
    topic = (await make_topic(partitions=4)).name
    first, second = Handled(), Handled()

    def slowly(handled: Handled) -> Callable[[Chunks], Awaitable[None]]:
        async def work(chunks: Chunks) -> None:
            async for chunk in chunks.unacknowledged():
                await asyncio.sleep(0.02)
                handled.chunks.append(chunk)
                chunks.acknowledge(chunk)

        return work

    await publisher.publish(records(topic, 16_000))
    async with agent_running(connection, group, [topic], slowly(first), chunk_records=50):
        await eventually(lambda: len(first.values) > 200, "the first worker is at work")
        async with agent_running(connection, group, [topic], slowly(second), chunk_records=50):
            await eventually(lambda: len(second.values) > 200, "the second worker has its share")
            await publisher.publish(records(topic, 4_000, first=16_000))
        await eventually(lambda: len({*first.values, *second.values}) == 20_000, "everything is handled")

        async def everything_committed() -> bool:
            return sum((await committed(connection, group)).values()) == 20_000

        await eventually(everything_committed, "everything is committed")
    assert len(first.values) + len(second.values) < 20_000 + 40 * 50


async def test_an_offset_that_retention_removed_goes_on_at_the_earliest_kept_record(
    connection: KafkaConnection, publisher: Publisher, group: str, make_topic: MakeTopic
) -> None:
    topic = (await make_topic()).name
    await publisher.publish(records(topic, 10))
    handled, gaps = Handled(), Gaps()
    async with agent_running(connection, group, [topic], handling(handled)):
        await eventually(lambda: len(handled.values) == 10, "ten handled")
    await publisher.publish(records(topic, 20, first=10))
    await remove_before(connection, topic, 25)
    async with agent_running(connection, group, [topic], handling(handled), on_gap=gaps.note):
        await eventually(lambda: len(handled.values) == 15, "the five kept records are handled")
    assert handled.values[10:] == [b"v%d" % number for number in range(25, 30)]
    assert gaps.noted == [(topic, 0, 10, 25)]


async def test_the_checkpoint_stays_before_a_gap_until_the_gap_has_been_told(
    connection: KafkaConnection, publisher: Publisher, group: str, make_topic: MakeTopic
) -> None:
    """Nothing is kept behind this gap, so nothing but the gap itself is there to be acknowledged."""
    topic = (await make_topic()).name
    await publisher.publish(records(topic, 10))
    handled, gaps = Handled(), Gaps()
    async with agent_running(connection, group, [topic], handling(handled)):
        await eventually(lambda: len(handled.values) == 10, "ten handled")
    await publisher.publish(records(topic, 20, first=10))
    await remove_before(connection, topic, 30)

    async def fail(*_: object) -> None:
        raise LookupError("killed while telling of the gap")

    async with agent_running(connection, group, [topic], handling(handled), on_gap=fail) as running:
        with pytest.raises(LookupError):
            await running
    assert await committed(connection, group) == {(topic, 0): 10}

    async def passed() -> bool:
        return await committed(connection, group) == {(topic, 0): 30}

    async with agent_running(connection, group, [topic], handling(handled), on_gap=gaps.note):
        await eventually(passed, "the checkpoint has passed the gap")
    assert gaps.noted == [(topic, 0, 10, 30)]


async def test_a_group_that_was_reset_to_what_retention_has_removed_hears_of_the_gap(
    connection: KafkaConnection, publisher: Publisher, group: str, make_topic: MakeTopic
) -> None:
    topic = (await make_topic()).name
    await publisher.publish(records(topic, 10))
    await remove_before(connection, topic, 4)
    async with AIOKafkaConsumer(**connection.options(), group_id=group, enable_auto_commit=False) as operator:
        operator.assign([TopicPartition(topic, 0)])
        await operator.commit({TopicPartition(topic, 0): 0})
    handled, gaps = Handled(), Gaps()
    async with agent_running(connection, group, [topic], handling(handled), on_gap=gaps.note):
        await eventually(lambda: len(handled.values) == 6, "the six kept records are handled")
    assert gaps.noted == [(topic, 0, 0, 4)]


async def test_a_gap_is_heard_of_also_where_the_client_comes_upon_it_while_checkpoints_are_sought(
    connection: KafkaConnection, publisher: Publisher, group: str, make_topic: MakeTopic, monkeypatch: pytest.MonkeyPatch
) -> None:
    """They are asked for one after the other, and what is fetched meanwhile moves the first before we have come to the last."""
    topic = (await make_topic()).name
    await publisher.publish(records(topic, 10))
    async with AIOKafkaConsumer(**connection.options(), group_id=group, enable_auto_commit=False) as operator:
        operator.assign([TopicPartition(topic, 0)])
        await operator.commit({TopicPartition(topic, 0): 4})
    await remove_before(connection, topic, 10)
    at_once = AIOKafkaConsumer.seek_to_committed

    async def slowly(consumer: AIOKafkaConsumer, *partitions: TopicPartition) -> Any:
        found = await at_once(consumer, *partitions)
        await asyncio.sleep(1)
        return found

    monkeypatch.setattr(AIOKafkaConsumer, "seek_to_committed", slowly)
    gaps = Gaps()
    async with agent_running(connection, group, [topic], handling(Handled()), on_gap=gaps.note):
        await eventually(lambda: gaps.noted != [], "the gap is told")
    assert gaps.noted == [(topic, 0, 4, 10)]


async def test_a_group_that_starts_for_the_first_time_has_lost_nothing(
    connection: KafkaConnection, publisher: Publisher, group: str, make_topic: MakeTopic
) -> None:
    topic = (await make_topic()).name
    await publisher.publish(records(topic, 10))
    await remove_before(connection, topic, 4)
    handled, gaps = Handled(), Gaps()
    async with agent_running(connection, group, [topic], handling(handled), on_gap=gaps.note):
        await eventually(lambda: len(handled.values) == 6, "the six kept records are handled")
    assert gaps.noted == []


async def test_records_that_are_removed_while_a_worker_reads_are_told_as_a_gap(
    connection: KafkaConnection, publisher: Publisher, group: str, make_topic: MakeTopic
) -> None:
    topic = (await make_topic()).name
    large = [Record(topic, b"k", os.urandom(20_000)) for _ in range(500)]  # some fetches' worth
    await publisher.publish(large)
    handled, gaps, arrived, held = Handled(), Gaps(), asyncio.Event(), asyncio.Event()

    async def work(chunks: Chunks) -> None:
        async for chunk in chunks.unacknowledged():
            arrived.set()
            await held.wait()
            handled.chunks.append(chunk)
            chunks.acknowledge(chunk)

    async with agent_running(connection, group, [topic], work, chunk_records=1, on_gap=gaps.note):
        await arrived.wait()
        await remove_before(connection, topic, 490)
        held.set()
        await eventually(lambda: large[-1].value in handled.values, "the last record is handled")
    (gap,) = gaps.noted
    assert gap[3] == 490
    assert len(handled.values) + gap[3] - gap[2] == 500


async def test_a_group_that_refuses_the_member_ends_the_app_with_the_reason(
    connection: KafkaConnection, group: str, make_topic: MakeTopic
) -> None:
    topic = (await make_topic()).name
    stranger = AIOKafkaConsumer(
        topic, **connection.options(), group_id=group, partition_assignment_strategy=[RoundRobinPartitionAssignor]
    )
    await stranger.start()
    try:
        async with agent_running(connection, group, [topic], handling(Handled())) as running:
            with pytest.raises(InconsistentGroupProtocolError):
                await asyncio.wait_for(running, 20)
    finally:
        await stranger.stop()


async def test_a_client_that_has_stopped_to_fetch_ends_the_app_with_the_reason(
    connection: KafkaConnection, publisher: Publisher, group: str, make_topic: MakeTopic, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A bug of the client's: it notes it in its own log, keeps its place in the group, and would be idle for ever."""
    topic = (await make_topic()).name
    await publisher.publish(records(topic, 1))
    handled = Handled()
    async with agent_running(connection, group, [topic], handling(handled)) as running:
        await eventually(lambda: len(handled.values) == 1, "it fetches")

        def fail(*_: object) -> None:
            raise LookupError("a bug")

        monkeypatch.setattr(Fetcher, "_get_actions_per_node", fail)
        await publisher.publish(records(topic, 1))
        with pytest.raises(KafkaError, match="Unexpected error during data retrieval"):
            await asyncio.wait_for(running, 20)


class _NoText(str):
    """The name of a header as other clients may send it: no UTF-8."""

    __slots__ = ()

    def encode(self, *_: object) -> bytes:
        return b"\xff\xfe" + super().encode()


@pytest.mark.parametrize("codec", [DefaultRecordBase.CODEC_NONE, DefaultRecordBase.CODEC_LZ4])
async def test_a_header_whose_name_is_no_text_stops_nothing_and_loses_nothing(
    connection: KafkaConnection, publisher: Publisher, group: str, make_topic: MakeTopic, codec: int
) -> None:
    topic = (await make_topic()).name
    await publisher.publish(records(topic, 3))
    async with AIOKafkaProducer(**connection.options()) as producer:
        batch = producer.create_batch()
        # The other implementation of the client's encodes names by their own method.
        batch._builder = _DefaultRecordBatchBuilderPy(2, codec, False, -1, -1, 0, 100_000)
        for name in ("fine", _NoText("odd"), "fine"):
            headers = [("first", b"0"), (name, b"1"), ("null", None)]
            batch.append(key=b"k", value=name[:].encode() * 100, timestamp=None, headers=headers)
        batch.close()
        await (await producer.send_batch(batch, topic, partition=0))
    await publisher.publish(records(topic, 3, first=3))
    handled = Handled()
    async with agent_running(connection, group, [topic], handling(handled)):
        await eventually(lambda: len(handled.values) == 9, "all handled")

        async def all_committed() -> bool:
            return await committed(connection, group) == {(topic, 0): 9}

        await eventually(all_committed, "all committed")
    assert handled.values == [b"v0", b"v1", b"v2", b"fine" * 100, b"odd" * 100, b"fine" * 100, b"v3", b"v4", b"v5"]
    odd = next(record for chunk in handled.chunks for record in chunk.records if record.offset == 4)
    assert list(odd.headers) == [("first", b"0"), ("\\xff\\xfeodd", b"1"), ("null", None)]
