import asyncio
from collections.abc import Mapping
from datetime import UTC, datetime, timedelta

import pytest
from aiokafka.admin import AIOKafkaAdminClient
from aiokafka.admin.records_to_delete import RecordsToDelete
from aiokafka.structs import TopicPartition

from libs.contracts.gaps import GAP, OffsetsLost
from libs.kafka.connection import KafkaConnection
from libs.kafka.offsets import GroupInUseError, Place, open_group_offsets
from libs.kafka.partitioning import partition_of
from libs.kafka.publishing import Publisher
from libs.kafka.tailing import read_to_end
from libs.postgres.pool import Pool
from libs.recovery.replaying import Wish, move, plan
from libs.recovery.targets import Beginning, Moment, Move, Offsets, ReplayRefusedError
from services.normalizer.wiring import Topics
from tests.integration.normalizer.conftest import (
    NOW,
    count,
    counting,
    normalizer_running,
    raw_tick,
    record_of,
    start_process,
)
from tests.integration.recovery.stories import pipeline_of, until_nobody_is_left
from tests.integration.streaming.conftest import eventually

TICKS = 60
UID = "same"


async def planned(connection: KafkaConnection, topics: Topics, wish: Wish) -> Mapping[Place, Move]:
    async with open_group_offsets(connection, topics.group) as offsets:
        return {one.place: one for one in await plan(wish, pipeline_of(topics), offsets)}


async def carried_out(connection: KafkaConnection, topics: Topics, wish: Wish) -> Mapping[Place, Move]:
    async with open_group_offsets(connection, topics.group) as offsets:
        await offsets.require_no_members()
        moves = await plan(wish, pipeline_of(topics), offsets)
        await move(offsets, moves)
    return {one.place: one for one in moves}


def place_of(topics: Topics) -> Place:
    """Where the ticks of these tests are: one partition, one uid."""
    return Place(topics.raw["coingecko"], partition_of(UID.encode(), topics.partitions))


async def publish_ticks(publisher: Publisher, topics: Topics, first: int = 0, ticks: int = TICKS) -> None:
    topic = topics.raw["coingecko"]
    made = [raw_tick(f"coin{n}", UID, price=str(n + 1), at=NOW + timedelta(seconds=n)) for n in range(first, first + ticks)]
    await publisher.publish([record_of(topic, one) for one in made])


async def normalize_until(
    connection: KafkaConnection, database_url: str, topics: Topics, committed: int, *, leave: bool = True
) -> None:
    async def reached() -> bool:
        async with open_group_offsets(connection, topics.group) as offsets:
            return (await offsets.committed()).get(place_of(topics)) == committed

    async with normalizer_running(connection, database_url, topics):
        await eventually(reached, f"the checkpoint is at {committed}")
    if leave:
        await until_nobody_is_left(connection, topics)


async def delete_below(connection: KafkaConnection, place: Place, offset: int) -> None:
    """Do what retention does."""
    admin = AIOKafkaAdminClient(**connection.options())
    await admin.start()
    try:
        await admin.delete_records({TopicPartition(*place): RecordsToDelete(before_offset=offset)})
    finally:
        await admin.close()


async def test_a_group_that_was_never_there_may_be_sent_anywhere(
    connection: KafkaConnection, publisher: Publisher, topics: Topics
) -> None:
    await publish_ticks(publisher, topics)
    place = place_of(topics)
    moves = await carried_out(connection, topics, Wish(Offsets({place.partition: 5}), ("coingecko",)))
    assert (moves[place].committed, moves[place].from_offset, moves[place].skipped) == (None, 0, 5)
    async with open_group_offsets(connection, topics.group) as offsets:
        assert await offsets.committed() == {place: 5}


async def test_a_running_worker_is_named_and_nothing_is_moved_until_it_has_left(
    connection: KafkaConnection, database_url: str, publisher: Publisher, topics: Topics
) -> None:
    await publish_ticks(publisher, topics)
    await normalize_until(connection, database_url, topics, TICKS)
    async with open_group_offsets(connection, topics.group) as offsets:
        moves = await plan(Wish(Beginning()), pipeline_of(topics), offsets)
        async with normalizer_running(connection, database_url, topics):

            async def is_in_use() -> bool:
                try:
                    await offsets.require_no_members()
                except GroupInUseError as error:
                    return "test at 127.0.0.1 (member " in str(error) and "(state Stable)" in str(error)
                return False

            await eventually(is_in_use, "the worker is told by name and address")
            before = await offsets.committed()
            with pytest.raises(GroupInUseError, match="Stop every worker"):  # the broker refuses, whoever looked before
                await move(offsets, moves)
            assert await offsets.committed() == before
        await until_nobody_is_left(connection, topics)
        await move(offsets, moves)
        assert (await offsets.committed())[place_of(topics)] == 0


async def test_a_killed_worker_is_a_member_until_its_session_ends(
    connection: KafkaConnection, database_url: str, pool: Pool, publisher: Publisher, topics: Topics
) -> None:
    await publish_ticks(publisher, topics)
    worker = await start_process(connection, database_url, topics)
    await eventually(counting(pool, "raw_coingecko", TICKS), "the worker is at work")
    worker.kill()
    await worker.wait()
    with pytest.raises(GroupInUseError, match="killed without a goodbye"):
        await carried_out(connection, topics, Wish(Beginning()))
    await until_nobody_is_left(connection, topics)
    await carried_out(connection, topics, Wish(Beginning()))


async def test_a_moment_is_found_by_the_time_that_kafka_gave_the_records(
    connection: KafkaConnection, database_url: str, publisher: Publisher, topics: Topics
) -> None:
    await publish_ticks(publisher, topics)
    await asyncio.sleep(0.01)  # Kafka's time has milliseconds
    between = datetime.now(UTC)
    await asyncio.sleep(0.01)
    await publish_ticks(publisher, topics, TICKS, 10)
    await normalize_until(connection, database_url, topics, TICKS + 10)
    place = place_of(topics)
    after = datetime.now(UTC)
    assert (await planned(connection, topics, Wish(Moment(after))))[place].to_offset == TICKS + 10
    found = (await carried_out(connection, topics, Wish(Moment(between))))[place]
    assert (found.from_offset, found.to_offset, found.replayed, found.eaten) == (TICKS + 10, TICKS, 10, 0)
    long_ago = (await planned(connection, topics, Wish(Moment(between - timedelta(days=1)))))[place]
    assert (long_ago.to_offset, long_ago.skipped, long_ago.replayed) == (0, 0, TICKS)


async def test_what_retention_has_eaten_is_told_and_the_oldest_record_kept_is_where_it_goes(
    connection: KafkaConnection, database_url: str, pool: Pool, publisher: Publisher, topics: Topics
) -> None:
    await publish_ticks(publisher, topics)
    await normalize_until(connection, database_url, topics, TICKS)
    place = place_of(topics)
    await delete_below(connection, place, 20)
    by_offset = (await planned(connection, topics, Wish(Offsets({place.partition: 5}), ("coingecko",))))[place]
    assert (by_offset.to_offset, by_offset.eaten, by_offset.replayed) == (20, 15, 40)
    by_moment = (await planned(connection, topics, Wish(Moment(datetime.now(UTC) - timedelta(days=1)))))[place]
    assert (by_moment.to_offset, by_moment.eaten) == (20, None)
    await pool.execute("TRUNCATE raw_coingecko, quotes, assets")
    done = (await carried_out(connection, topics, Wish(Beginning())))[place]
    assert (done.to_offset, done.eaten) == (20, 20)
    await normalize_until(connection, database_url, topics, TICKS)
    assert await count(pool, "raw_coingecko") == TICKS - 20


async def test_an_offset_that_retention_has_removed_neither_stalls_nor_ends_the_normalizer(
    connection: KafkaConnection, database_url: str, pool: Pool, publisher: Publisher, topics: Topics
) -> None:
    await publish_ticks(publisher, topics)
    await normalize_until(connection, database_url, topics, TICKS)
    await pool.execute("TRUNCATE raw_coingecko, quotes, assets")
    place = place_of(topics)
    async with open_group_offsets(connection, topics.group) as offsets:
        await offsets.commit({place: 3})  # by hand, before retention comes by
    await delete_below(connection, place, 20)
    await normalize_until(connection, database_url, topics, TICKS)
    assert await count(pool, "raw_coingecko") == TICKS - 20
    lost = [GAP.validate_json(record.value or b"") for record in await read_to_end(connection, topics.gaps)]
    assert [(gap.topic, gap.from_offset, gap.to_offset) for gap in lost if isinstance(gap, OffsetsLost)] == [(place.topic, 3, 20)]


async def test_a_forward_target_says_how_much_nobody_will_read_and_skips_ticks_alone(
    connection: KafkaConnection, publisher: Publisher, topics: Topics
) -> None:
    await publish_ticks(publisher, topics)
    await publisher.publish([record_of(topics.runs, raw_tick("x", "x"))])
    moves = await planned(connection, topics, Wish(Moment(datetime.now(UTC))))
    assert moves[place_of(topics)].skipped == TICKS
    assert {one.skipped for one in moves.values() if one.topic not in topics.raw.values()} == {0}


async def test_only_what_was_named_is_moved(connection: KafkaConnection, publisher: Publisher, topics: Topics) -> None:
    await publish_ticks(publisher, topics)
    everything = await planned(connection, topics, Wish(Beginning()))
    read = {*topics.raw.values(), topics.runs, topics.dead_letters, topics.settlements, topics.gaps}
    assert {place.topic for place in everything} == read
    one = await planned(connection, topics, Wish(Beginning(), ("coinpaprika",)))
    assert set(one) == {Place(topics.raw["coinpaprika"], partition) for partition in range(topics.partitions)}
    partitions = await planned(connection, topics, Wish(Beginning(), partitions=(1,)))
    assert set(partitions) == {Place(topic, 1) for topic in topics.raw.values()}


@pytest.mark.parametrize(
    ("wish", "told"),
    [
        (Wish(Offsets({0: 1})), "--source"),
        (Wish(Offsets({0: 1}), ("coinpaprika", "coingecko")), "--source"),
        (Wish(Offsets({77: 0}), ("coingecko",)), "no partition 77"),
        (Wish(Offsets({0: 10**9}), ("coingecko",)), "beyond the end"),
        (Wish(Beginning(), ("nope",)), "there are coingecko, coinpaprika"),
        (Wish(Beginning(), partitions=(9,)), "no partition 9"),
        (Wish(Beginning(), partitions=(0,), rebuild=True), "leave --partition out"),
        (Wish(Moment(NOW), rebuild=True), "--to beginning"),
    ],
)
async def test_what_makes_no_sense_is_refused_in_words(
    connection: KafkaConnection, topics: Topics, wish: Wish, told: str
) -> None:
    with pytest.raises(ReplayRefusedError, match=told):
        await planned(connection, topics, wish)
