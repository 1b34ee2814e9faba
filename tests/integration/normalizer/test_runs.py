import time
from collections.abc import Awaitable, Callable, Sequence
from datetime import timedelta
from uuid import UUID, uuid4

from aiokafka import AIOKafkaConsumer, TopicPartition

from libs.contracts.run_events import (
    ANOMALIES,
    RUN_EVENT,
    FieldDrifted,
    PriceMoves,
    RunEvent,
    RunFailed,
    RunRequested,
    RunSkipped,
    RunStarted,
    RunSucceeded,
    RunTotals,
    ShardCounts,
    ShardFailed,
    ShardPublished,
)
from libs.domain.runs import RunStatus, Trigger
from libs.domain.shapes import DriftKind
from libs.kafka.connection import KafkaConnection
from libs.kafka.end_probe import open_end_probe
from libs.kafka.publishing import Publisher
from libs.kafka.records import Record
from libs.kafka.tailing import TopicRecord, topic_record
from libs.kafka.transactions import Transaction, TransactionalClient
from libs.postgres.pool import Pool
from libs.streaming.checkpoints import open_checkpoints
from services.normalizer.runs import IDLE_SECONDS
from services.normalizer.wiring import Topics
from tests.integration.normalizer.conftest import (
    NOW,
    counting,
    event_record,
    normalizer_running,
    raw_tick,
    read_all,
    record_of,
)
from tests.integration.streaming.conftest import eventually


def status_is(pool: Pool, run_id: UUID, status: RunStatus) -> Callable[[], Awaitable[bool]]:
    async def reached() -> bool:
        held: str | None = await pool.fetchval("SELECT status FROM etl_runs WHERE run_id = $1", run_id)
        return held == status

    return reached


POISON = b"no event"


def ends(records: Sequence[TopicRecord]) -> list[RunEvent]:
    events = [RUN_EVENT.validate_json(record.value or b"") for record in records if record.value != POISON]
    return [event for event in events if isinstance(event, RunSucceeded | RunFailed)]


async def publish_shard(
    publisher: Publisher, topics: Topics, run_id: UUID, shard: str, ids: list[str], bad: int = 0
) -> ShardPublished:
    """Publish a shard's ticks as a producer does; return the event that tells of it."""
    topic = topics.raw["coingecko"]
    records = [record_of(topic, raw_tick(name, name, run_id=run_id)) for name in ids]
    future = raw_tick("late", "late", run_id=run_id, at=NOW + timedelta(days=3))
    records += [record_of(topic, future) for _ in range(bad)]
    last: dict[int, int] = {}
    for place in await publisher.publish(records):
        last[place.partition] = max(place.offset, last.get(place.partition, -1))
    counts = ShardCounts(fetched=len(records) + 3, unchanged=2, published=len(records), dead_lettered=1)
    return ShardPublished(run_id=run_id, source="coingecko", at=NOW, shard=shard, counts=counts, last_offsets=last)


async def all_written(connection: KafkaConnection, topic: str) -> list[TopicRecord]:
    """Read what is in the log, committed or not."""
    consumer = AIOKafkaConsumer(**connection.options(), isolation_level="read_uncommitted", auto_offset_reset="earliest")
    await consumer.start()
    try:
        place = TopicPartition(topic, 0)
        consumer.assign([place])
        end = (await consumer.end_offsets([place]))[place]
        found: list[TopicRecord] = []
        while await consumer.position(place) < end:
            for several in (await consumer.getmany(place, timeout_ms=100)).values():
                found += [topic_record(one) for one in several]
        return found
    finally:
        await consumer.stop()


def caught_up(connection: KafkaConnection, topics: Topics) -> Callable[[], Awaitable[bool]]:
    async def reached() -> bool:
        async with open_end_probe(connection) as probe, open_checkpoints(connection, topics.group) as checkpoints:
            end = (await probe.ends(topics.runs))[0]
            return (await checkpoints.committed()).get((topics.runs, 0), 0) >= end

    return reached


async def hide_tick(transaction: Transaction, topics: Topics, event: ShardPublished) -> ShardPublished:
    """Send the run's last tick in a transaction that is still open; return the event that tells of it."""
    tick = record_of(topics.raw["coingecko"], raw_tick("a", "a", run_id=event.run_id))
    (place,) = await transaction.send([tick])
    return event.model_copy(update={"last_offsets": {place.partition: place.offset}})


def started(run_id: UUID, *shards: str) -> list[RunEvent]:
    return [
        RunRequested(run_id=run_id, source="coingecko", at=NOW, trigger=Trigger.MANUAL),
        RunStarted(run_id=run_id, source="coingecko", at=NOW, trigger=Trigger.MANUAL, shards=shards),
    ]


async def test_a_run_succeeds_soon_after_its_last_tick_is_applied_and_its_counts_add_up(
    connection: KafkaConnection, database_url: str, pool: Pool, publisher: Publisher, topics: Topics
) -> None:
    async with normalizer_running(connection, database_url, topics):
        warm_up = uuid4()
        events = [*started(warm_up, "1"), await publish_shard(publisher, topics, warm_up, "1", ["a"])]
        await publisher.publish([event_record(topics.runs, event) for event in events])
        await eventually(status_is(pool, warm_up, RunStatus.SUCCEEDED), "the first run has succeeded")
        run_id = uuid4()
        await publisher.publish([event_record(topics.runs, event) for event in started(run_id, "1", "2")])
        await eventually(status_is(pool, run_id, RunStatus.RUNNING), "the run is running")
        first = await publish_shard(publisher, topics, run_id, "1", ["a", "b", "c", "c"])
        second = await publish_shard(publisher, topics, run_id, "2", ["d"], bad=1)
        began = time.monotonic()
        await publisher.publish([event_record(topics.runs, first), event_record(topics.runs, second)])
        await eventually(status_is(pool, run_id, RunStatus.SUCCEEDED), "the run has succeeded")
        took = time.monotonic() - began
    row = await pool.fetchrow("SELECT * FROM etl_runs WHERE run_id = $1", run_id)
    assert row is not None
    totals = {name: row[name] for name in RunTotals.model_fields}
    assert totals == {"fetched": 12, "unchanged": 4, "published": 6, "stored": 3, "duplicate": 2, "dead_lettered": 3}
    assert totals["fetched"] == totals["unchanged"] + totals["stored"] + totals["duplicate"] + totals["dead_lettered"]
    assert None not in {row["requested_at"], row["started_at"], row["published_at"], row["finished_at"]}
    assert took < 1.5


async def test_a_run_with_a_failed_shard_fails_with_the_reason_after_the_others_are_applied(
    connection: KafkaConnection, database_url: str, pool: Pool, publisher: Publisher, topics: Topics
) -> None:
    run_id = uuid4()
    published = await publish_shard(publisher, topics, run_id, "1", ["a"])
    failed = ShardFailed(run_id=run_id, source="coingecko", at=NOW, shard="2", error="402: the plan is used up")
    events = [*started(run_id, "1", "2"), failed, published]
    await publisher.publish([event_record(topics.runs, event) for event in events])
    async with normalizer_running(connection, database_url, topics):
        await eventually(status_is(pool, run_id, RunStatus.FAILED), "the run has failed", 60)
    row = await pool.fetchrow("SELECT error, stored FROM etl_runs WHERE run_id = $1", run_id)
    assert row is not None
    assert tuple(row.values()) == ("2: 402: the plan is used up", 1)


async def test_a_run_of_which_very_many_shards_fail_fails_with_a_message_that_its_topic_takes(
    connection: KafkaConnection, database_url: str, pool: Pool, publisher: Publisher, topics: Topics
) -> None:
    run_id = uuid4()
    shards = [str(number) for number in range(1_000)]
    failed = [ShardFailed(run_id=run_id, source="coingecko", at=NOW, shard=shard, error="\u20bf" * 1_000) for shard in shards]
    await publisher.publish([event_record(topics.runs, event) for event in [*started(run_id, *shards), *failed]])
    async with normalizer_running(connection, database_url, topics):
        await eventually(status_is(pool, run_id, RunStatus.FAILED), "the run has failed", 60)
    error = await pool.fetchval("SELECT error FROM etl_runs WHERE run_id = $1", run_id)
    assert error.startswith("0: \u20bf")
    assert error.endswith("(1000 shards failed)")


async def test_a_replay_of_the_events_changes_nothing_and_ends_no_run_again(
    connection: KafkaConnection, database_url: str, pool: Pool, publisher: Publisher, topics: Topics
) -> None:
    run_id, skipped_id = uuid4(), uuid4()
    skipped = RunSkipped(run_id=skipped_id, source="csv", at=NOW, trigger=Trigger.SCHEDULE, reason="no file")
    events = [*started(run_id, "1"), await publish_shard(publisher, topics, run_id, "1", ["a", "b"]), skipped]
    records = [event_record(topics.runs, event) for event in events]
    await publisher.publish(records)
    async with normalizer_running(connection, database_url, topics):
        await eventually(status_is(pool, run_id, RunStatus.SUCCEEDED), "the run has succeeded")
        before = [tuple(row.values()) for row in await pool.fetch("SELECT * FROM etl_runs ORDER BY run_id")]
        last = uuid4()
        other = [*started(last, "1"), await publish_shard(publisher, topics, last, "1", ["z"])]
        await publisher.publish(
            [*records, Record(topics.runs, b"x", b"no event"), *(event_record(topics.runs, one) for one in other)]
        )
        await eventually(status_is(pool, last, RunStatus.SUCCEEDED), "a later run has succeeded")
    rows = await pool.fetch("SELECT * FROM etl_runs WHERE run_id <> $1 ORDER BY run_id", last)
    after = [tuple(row.values()) for row in rows]
    assert after == before
    assert await pool.fetchval("SELECT status FROM etl_runs WHERE run_id = $1", skipped_id) == RunStatus.SKIPPED
    async with normalizer_running(connection, database_url, topics):
        found = await read_all(connection, topics.runs, lambda found: len(ends(found)) >= 2)
    assert sorted(event.run_id for event in ends(found)) == sorted([run_id, last])


async def test_a_run_waits_for_its_ticks(
    connection: KafkaConnection, database_url: str, pool: Pool, publisher: Publisher, topics: Topics
) -> None:
    run_id = uuid4()
    event = await publish_shard(publisher, topics, run_id, "1", ["a"])
    hiding = TransactionalClient(connection, f"hiding-{run_id}")
    await hiding.open()
    async with normalizer_running(connection, database_url, topics):
        async with hiding.transaction() as transaction:
            later = await hide_tick(transaction, topics, event)
            await publisher.publish([event_record(topics.runs, one) for one in [*started(run_id, "1"), later]])
            await eventually(status_is(pool, run_id, RunStatus.PUBLISHED), "the run is published")
        await eventually(status_is(pool, run_id, RunStatus.SUCCEEDED), "the run has succeeded")
    await hiding.close()
    assert await pool.fetchval("SELECT duplicate FROM etl_runs WHERE run_id = $1", run_id) == 1


async def test_a_run_whose_ticks_are_gone_fails_and_holds_up_no_other(
    connection: KafkaConnection, database_url: str, pool: Pool, publisher: Publisher, topics: Topics
) -> None:
    lost, other = uuid4(), uuid4()
    event = await publish_shard(publisher, topics, lost, "1", ["a"])
    beyond = event.model_copy(update={"last_offsets": dict.fromkeys(event.last_offsets, 1000)})
    await publisher.publish([event_record(topics.runs, one) for one in [*started(lost, "1"), beyond]])
    async with normalizer_running(connection, database_url, topics):
        await eventually(status_is(pool, lost, RunStatus.FAILED), "the run has failed")
        events = [*started(other, "1"), await publish_shard(publisher, topics, other, "1", ["b"])]
        await publisher.publish([event_record(topics.runs, one) for one in events])
        await eventually(status_is(pool, other, RunStatus.SUCCEEDED), "the other has succeeded")
    assert await pool.fetchval("SELECT error FROM etl_runs WHERE run_id = $1", lost) == "its ticks are gone from their topic"


async def test_a_run_ends_once_although_a_transaction_hides_its_end_from_the_next_worker(
    connection: KafkaConnection, database_url: str, pool: Pool, publisher: Publisher, topics: Topics
) -> None:
    run_id = uuid4()
    event = await publish_shard(publisher, topics, run_id, "1", ["a"])

    async def ends_written() -> int:
        return len([end for end in ends(await all_written(connection, topics.runs)) if end.run_id == run_id])

    async def has_ended() -> bool:
        return await ends_written() > 0

    hanging, hiding = (TransactionalClient(connection, f"{name}-{run_id}") for name in ("hanging", "hiding"))
    await hanging.open()
    await hiding.open()
    async with hanging.transaction() as transaction:
        async with normalizer_running(connection, database_url, topics):
            async with hiding.transaction() as tick:
                later = await hide_tick(tick, topics, event)
                await publisher.publish([event_record(topics.runs, one) for one in [*started(run_id, "1"), later]])
                await eventually(status_is(pool, run_id, RunStatus.PUBLISHED), "the run is published")
                await eventually(caught_up(connection, topics), "the worker has applied the whole topic")
                await transaction.send([event_record(topics.runs, started(uuid4(), "1")[0])])
            await eventually(has_ended, "the run has ended, above the open transaction")
        async with normalizer_running(connection, database_url, topics):
            await publish_shard(publisher, topics, uuid4(), "1", ["b"])
            await eventually(counting(pool, "quotes", 2), "the next worker is at work")
            began = time.monotonic()
            while time.monotonic() - began < 2 * IDLE_SECONDS:
                assert await ends_written() == 1
    await hanging.close()
    await hiding.close()
    async with normalizer_running(connection, database_url, topics):
        await eventually(status_is(pool, run_id, RunStatus.SUCCEEDED), "the end is seen")
    assert await ends_written() == 1


async def test_drift_is_written_down_once_however_often_its_event_is_read(
    connection: KafkaConnection, database_url: str, pool: Pool, publisher: Publisher, topics: Topics
) -> None:
    run_id = uuid4()
    drift = (
        FieldDrifted(kind=DriftKind.RETYPED, field="price", was=("number",), now=("string",)),
        FieldDrifted(kind=DriftKind.NEW, field="roi", was=(), now=("object",)),
        FieldDrifted(kind="of_a_later_release", field="symbol", was=("text",), now=("text",)),
    )
    shard = (await publish_shard(publisher, topics, run_id, "1", ["a"])).model_copy(update={"drift": drift})
    events = [*started(run_id, "1"), shard, shard]
    await publisher.publish([event_record(topics.runs, event) for event in events])
    async with normalizer_running(connection, database_url, topics):
        await eventually(status_is(pool, run_id, RunStatus.SUCCEEDED), "the run has ended")
    rows = await pool.fetch("SELECT source, run_id, shard, kind, field, was, has_now, found_at FROM schema_drift ORDER BY field")
    assert [tuple(row) for row in rows] == [
        ("coingecko", run_id, "1", "retyped", "price", ["number"], ["string"], NOW),
        ("coingecko", run_id, "1", "new", "roi", [], ["object"], NOW),
        ("coingecko", run_id, "1", "of_a_later_release", "symbol", ["text"], ["text"], NOW),
    ]


async def test_a_run_unlike_those_before_it_is_told_to_be_and_succeeds_all_the_same(
    connection: KafkaConnection, database_url: str, pool: Pool, publisher: Publisher, topics: Topics
) -> None:
    raw, names, run_id = topics.raw["coingecko"], [f"coin-{number}" for number in range(60)], uuid4()
    await publisher.publish([record_of(raw, raw_tick(name, name, price="1.5", at=NOW - timedelta(hours=1))) for name in names])
    moves = PriceMoves(compared=200, median_percent=0.3, large_share=0.01)
    for number in range(1, 11):
        await pool.execute(
            """INSERT INTO etl_runs (run_id, source, status, fetched, unchanged, price_moves, started_at, last_event_at)
               VALUES ($1, 'coingecko', 'succeeded', 250, 50, $2::jsonb || '{"of_a_later_release": 1}', $3, $3)""",
            *(uuid4(), moves.model_dump_json(), NOW - number * timedelta(minutes=5)),
        )
    async with normalizer_running(connection, database_url, topics):
        await eventually(counting(pool, "quotes", 60), "the first prices are there")
        last: dict[int, int] = {}
        for place in await publisher.publish([record_of(raw, raw_tick(name, name, price="2", run_id=run_id)) for name in names]):
            last[place.partition] = max(place.offset, last.get(place.partition, -1))
        counts = ShardCounts(fetched=60, unchanged=0, published=60, dead_lettered=0)
        shard = ShardPublished(run_id=run_id, source="coingecko", at=NOW, shard="1", counts=counts, last_offsets=last)
        await publisher.publish([event_record(topics.runs, event) for event in [*started(run_id, "1"), shard]])
        await eventually(status_is(pool, run_id, RunStatus.SUCCEEDED), "the run has succeeded")
        (end,) = ends(await read_all(connection, topics.runs, lambda found: bool(ends(found))))
    assert isinstance(end, RunSucceeded)
    assert end.price_moves == PriceMoves(compared=60, median_percent=35.0, large_share=1.0)
    assert [anomaly.kind for anomaly in end.anomalies] == ["row_count", "price_moves", "large_price_moves"]
    assert end.anomalies[0].words == "60 rows, usually 250"
    row = await pool.fetchrow("SELECT price_moves::text, anomalies::text FROM etl_runs WHERE run_id = $1", run_id)
    assert row is not None
    assert PriceMoves.model_validate_json(row["price_moves"]) == end.price_moves
    assert ANOMALIES.validate_json(row["anomalies"]) == end.anomalies
