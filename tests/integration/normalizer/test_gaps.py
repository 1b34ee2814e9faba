"""What the normalizer has lost is in etl.gaps and in the table of gaps."""

from uuid import uuid4

from aiokafka import TopicPartition
from aiokafka.admin import AIOKafkaAdminClient, NewTopic, RecordsToDelete

from libs.contracts.gaps import GAP, OffsetsLost, RunsMissed, gap_id_of
from libs.domain.runs import RunStatus
from libs.kafka.connection import KafkaConnection
from libs.kafka.publishing import Publisher
from libs.kafka.records import Record
from libs.kafka.tailing import read_to_end
from libs.postgres.pool import Pool
from services.normalizer.wiring import Topics
from tests.integration.normalizer.conftest import NOW, counting, event_record, normalizer_running, raw_tick, record_of
from tests.integration.normalizer.test_runs import publish_shard, started, status_is
from tests.integration.streaming.conftest import committed, eventually


async def remove_before(connection: KafkaConnection, place: TopicPartition, offset: int) -> None:
    """Do what retention does."""
    admin = AIOKafkaAdminClient(**connection.options())
    await admin.start()
    await admin.delete_records({place: RecordsToDelete(before_offset=offset)})
    await admin.close()


async def make_anew(admin: AIOKafkaAdminClient, topic: str, partitions: int, group: str) -> None:
    """Delete it, let the group see it gone (a worker that does not see that knows its place, and is the easier case), make it."""
    await admin.delete_topics([topic])

    async def is_let_go() -> bool:
        (answer,) = await admin.describe_consumer_groups([group])
        _, _, state, _, _, members, *_ = answer.groups[0]
        return state == "Stable" and all(topic.encode() not in assignment for _, _, _, _, assignment, *_ in members)

    await eventually(is_let_go, "the group has seen that the topic is gone", seconds=60)

    async def made() -> bool:
        answer = await admin.create_topics([NewTopic(topic, partitions, 1)])
        return bool(answer.topic_errors[0][1] == 0)  # until then it is still being deleted

    await eventually(made, "the topic is made anew")


def missed(source: str = "csv", runs: int = 3) -> RunsMissed:
    return RunsMissed(
        gap_id=gap_id_of("runs_missed", source, NOW, uuid4()),
        source=source,
        found_at=NOW,
        first_due=NOW,
        last_due=NOW,
        runs=runs,
        interval_seconds=60,
    )


def gap_record(topics: Topics, gap: RunsMissed | OffsetsLost) -> Record:
    return Record(topics.gaps, gap.source.encode(), GAP.dump_json(gap))


async def test_offsets_that_retention_removed_unread_are_in_the_ledger_once(
    connection: KafkaConnection, database_url: str, pool: Pool, publisher: Publisher, topics: Topics
) -> None:
    raw = topics.raw["coingecko"]
    (first,) = await publisher.publish([record_of(raw, raw_tick("a", "a"))])
    place = TopicPartition(raw, first.partition)

    async def first_committed() -> bool:
        return (await committed(connection, topics.group)).get((raw, place.partition)) == 1

    async with normalizer_running(connection, database_url, topics):
        await eventually(first_committed, "the first tick is applied")
    for price in ("2", "3", "4"):
        await publisher.publish([record_of(raw, raw_tick("a", "a", price=price))])
    await remove_before(connection, place, 3)
    async with normalizer_running(connection, database_url, topics):
        await eventually(counting(pool, "gaps", 1), "the gap is in the table")
        await eventually(counting(pool, "raw_coingecko", 2), "the tick behind the gap is stored")
    row = await pool.fetchrow("SELECT * FROM gaps")
    assert row is not None
    assert (row["kind"], row["source"], row["consumer_group"]) == ("offsets_lost", "coingecko", topics.group)
    assert (row["topic"], row["partition"], row["from_offset"], row["to_offset"]) == (raw, place.partition, 1, 3)
    (told,) = await read_to_end(connection, topics.gaps)
    assert told.key == b"coingecko"
    gap = GAP.validate_json(told.value or b"")
    assert gap.gap_id == row["gap_id"]
    await publisher.publish([gap_record(topics, gap), gap_record(topics, missed())])  # told again, as after a crash
    async with normalizer_running(connection, database_url, topics):
        await eventually(counting(pool, "gaps", 2), "the other gap is in the table")
    assert await pool.fetchval("SELECT count(*) FROM gaps WHERE kind = 'offsets_lost'") == 1


async def test_a_run_whose_ticks_retention_removed_unread_fails_and_says_how_many(
    connection: KafkaConnection, database_url: str, pool: Pool, publisher: Publisher, topics: Topics
) -> None:
    run_id = uuid4()
    shard = await publish_shard(publisher, topics, run_id, "1", ["a", "a", "a"])
    ((partition, last),) = shard.last_offsets.items()
    await publisher.publish([event_record(topics.runs, event) for event in [*started(run_id, "1"), shard]])
    await remove_before(connection, TopicPartition(topics.raw["coingecko"], partition), last)
    async with normalizer_running(connection, database_url, topics):
        await eventually(status_is(pool, run_id, RunStatus.FAILED), "the run has failed")
    error = await pool.fetchval("SELECT error FROM etl_runs WHERE run_id = $1", run_id)
    assert error.startswith("2 of its ticks were never applied")


async def test_a_raw_topic_made_anew_under_a_worker_is_in_the_ledger_and_its_new_ticks_are_stored(
    connection: KafkaConnection, database_url: str, pool: Pool, publisher: Publisher, topics: Topics
) -> None:
    raw = topics.raw["coingecko"]
    (first,) = await publisher.publish([record_of(raw, raw_tick("a", "a"))])
    await publisher.publish([record_of(raw, raw_tick("a", "a", price=price)) for price in ("2", "3", "4")])

    async def all_committed() -> bool:
        return (await committed(connection, topics.group)).get((raw, first.partition)) == 4

    async with normalizer_running(connection, database_url, topics):
        await eventually(all_committed, "the ticks are applied")
        admin = AIOKafkaAdminClient(**connection.options())
        await admin.start()
        try:
            await make_anew(admin, raw, topics.partitions, topics.group)
        finally:
            await admin.close()
        await publisher.publish([record_of(raw, raw_tick("a", "a", price="5"))])
        # A worker looks for new topics every half minute.
        await eventually(counting(pool, "raw_coingecko", 5), "the new tick is stored", seconds=60)
        await eventually(counting(pool, "gaps", 1), "the gap is in the table")
    row = await pool.fetchrow("SELECT from_offset, to_offset FROM gaps WHERE partition = $1", first.partition)
    assert row is not None
    assert (row["from_offset"], row["to_offset"]) == (4, 0)


async def test_a_gap_that_cannot_be_read_or_stored_is_set_aside_and_its_neighbours_are_stored(
    connection: KafkaConnection, database_url: str, pool: Pool, publisher: Publisher, topics: Topics
) -> None:
    poison = Record(topics.gaps, b"csv", b"no gap")
    endless = GAP.dump_json(missed()).replace(b'"interval_seconds":60.0', b'"interval_seconds":1e999')
    infinite = Record(topics.gaps, b"csv", endless)  # the API could not write it as JSON
    too_large = gap_record(topics, missed(runs=2**70))
    await publisher.publish(
        [gap_record(topics, missed()), poison, infinite, gap_record(topics, missed()), too_large, gap_record(topics, missed())]
    )
    async with normalizer_running(connection, database_url, topics):
        await eventually(counting(pool, "gaps", 3), "the neighbours are stored")

        async def set_aside() -> bool:
            return len(await read_to_end(connection, topics.dead_letters)) == 3

        await eventually(set_aside, "three are set aside")
    letters = await read_to_end(connection, topics.dead_letters)
    assert {letter.value for letter in letters} == {poison.value, infinite.value, too_large.value}
    stages = {value for letter in letters for name, value in letter.headers if name == "__connect.errors.stage"}
    assert stages == {b"gaps"}
