"""What waits in ticks.dead-letter can be counted in Postgres, whoever wrote it."""

from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID, uuid4

from libs.contracts.dead_letters import Origin, Told
from libs.contracts.run_events import RunSucceeded, ShardCounts, ShardPublished
from libs.contracts.settlements import OffsetRange, Settlement
from libs.kafka.connection import KafkaConnection
from libs.kafka.publishing import Publisher
from libs.kafka.records import Record
from libs.postgres.pool import Pool
from libs.postgres.writing.dead_letters import DeadLetter, upsert_letters, upsert_settlements
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
from tests.integration.normalizer.test_runs import ends, started
from tests.integration.streaming.conftest import eventually

POISON = b'{"not": "a tick"'
TIMES_WITHOUT_UTC = (b"9999-12-31T23:59:59-14:00", b"0001-01-01T00:00:00+14:00")


def letter(offset: int, *, failed_at: datetime = NOW, identity: UUID | None = None, detail: str = "") -> DeadLetter:
    told = Told("coingecko", "undecodable", "normalizer", None, 1, Origin("ticks.raw.coingecko", 0, offset), detail)
    return DeadLetter(0, offset, failed_at, told, 7, identity)


async def letters(pool: Pool) -> list[dict[str, Any]]:
    return [dict(row) for row in await pool.fetch("SELECT * FROM dead_letters ORDER BY failed_at, partition, record_offset")]


async def test_a_record_that_is_set_aside_is_found_in_the_table(
    connection: KafkaConnection, database_url: str, pool: Pool, publisher: Publisher, topics: Topics
) -> None:
    (place,) = await publisher.publish([Record(topics.raw["coingecko"], b"key", POISON)])
    async with normalizer_running(connection, database_url, topics):
        await eventually(counting(pool, "dead_letters", 1), "the letter is projected")
    (row,) = await letters(pool)
    assert (row["origin_topic"], row["origin_partition"], row["origin_offset"]) == (
        topics.raw["coingecko"],
        place.partition,
        place.offset,
    )
    assert (row["source"], row["error_class"], row["stage"], row["attempt"]) == ("coingecko", "undecodable", "normalizer", 1)
    assert (row["size"], row["run_id"]) == (len(POISON), None)
    assert row["identity"] is not None
    (record,) = await read_all(connection, topics.dead_letters, bool)
    assert row["failed_at"] == datetime.fromtimestamp(record.timestamp_ms / 1000, UTC)


async def test_whatever_the_headers_of_a_letter_hold_it_is_counted_and_none_follows_from_it(
    connection: KafkaConnection, database_url: str, pool: Pool, publisher: Publisher, topics: Topics
) -> None:
    nasty: list[list[tuple[str, bytes]]] = [
        [],
        [("__connect.errors.class.name", b"java.lang.NullPointerException")],
        [("__connect.errors.exception.message", b"a\x00b" + b"\xff" * 100_000)],
        [("__connect.errors.topic", b"\x00" * 300), ("__connect.errors.partition", b"9" * 19)],
        [("__connect.errors.partition", b"-"), ("__connect.errors.offset", b"\xd9\xa1"), ("__connect.errors.topic", b"t")],
        [
            ("kasparro.attempt", b"9999999999"),
            ("kasparro.run_id", b"{no uuid}"),
            ("__connect.errors.connector.name", b"\xed\xa0\x80"),
        ],
        [("__connect.errors.offset", b"1"), ("__connect.errors.offset", b"9223372036854775807")],
    ]
    records = [Record(topics.dead_letters, None, None if number == 0 else b"\x00", one) for number, one in enumerate(nasty)]
    async with normalizer_running(connection, database_url, topics):
        await publisher.publish(records)
        await eventually(counting(pool, "dead_letters", len(nasty)), "every letter is projected")
        await publisher.publish([record_of(topics.raw["coingecko"], raw_tick("a", "a"))])
        await eventually(counting(pool, "assets", 1), "the normalizer goes on")
    rows = await letters(pool)
    assert len(rows) == len(nasty)
    assert {row["error_class"] for row in rows} == {"unknown"}
    assert {row["attempt"] for row in rows} == {1, 2**31 - 1}
    assert {row["identity"] for row in rows} == {None}
    assert max(len(row["detail"]) for row in rows) == 2_000
    assert not any("\0" in row["detail"] for row in rows)


async def test_of_two_letters_at_one_place_the_one_that_failed_later_is_kept_in_any_order(pool: Pool) -> None:
    old, new = letter(5, detail="of a topic that is gone"), letter(5, failed_at=NOW + timedelta(seconds=1), detail="new")
    await upsert_letters(pool, [new, old])
    await upsert_letters(pool, [old])
    assert [row["detail"] for row in await letters(pool)] == ["new"]


async def test_the_newest_settlement_counts_in_any_order(
    connection: KafkaConnection, database_url: str, pool: Pool, publisher: Publisher, topics: Topics
) -> None:
    def settled(seconds: int, *redriven: OffsetRange) -> Settlement:
        return Settlement(partition=2, settled_at=NOW + timedelta(seconds=seconds), redriven=redriven, dropped=((40, 50),))

    def record(value: bytes) -> Record:
        return Record(topics.settlements, b"2", value)

    newest = settled(2, (0, 5), (7, 9))
    unsound = b'{"partition": 2, "settled_at": "2999-01-01T00:00:00Z", "redriven": [[9, 3]]}'
    no_time = [b'{"partition": %d, "settled_at": "%b"}' % (2 + n, at) for n, at in enumerate(TIMES_WITHOUT_UTC)]
    values = [settled(1, (0, 5)).model_dump_json().encode(), newest.model_dump_json().encode(), unsound, *no_time, b"\xff", b"{}"]
    async with normalizer_running(connection, database_url, topics):
        await publisher.publish([record(value) for value in values])
        await eventually(counting(pool, "dead_letter_settlements", 1), "the settlement is projected")
    await upsert_settlements(pool, [(0, settled(1, (0, 5)))])
    (row,) = await pool.fetch("SELECT redriven::text, dropped::text, settled_at FROM dead_letter_settlements WHERE partition = 2")
    assert tuple(row) == ("{[0,5),[7,9)}", "{[40,50)}", newest.settled_at)


async def test_a_redriven_record_changes_no_count_of_its_run(
    connection: KafkaConnection, database_url: str, pool: Pool, publisher: Publisher, topics: Topics
) -> None:
    """The run still goes on while two of its letters are re-driven: one is good now, one is not."""
    run_id, topic = uuid4(), topics.raw["coingecko"]
    again = [("kasparro.attempt", b"2")]
    first, bad = raw_tick("a", "a", run_id=run_id), raw_tick("b", "b", run_id=run_id, at=NOW + timedelta(days=3))
    mended = raw_tick("c", "c", run_id=run_id)
    records = [record_of(topic, first), record_of(topic, bad)]
    redriven = [Record(topic, one.key, one.value, again) for one in (record_of(topic, mended), record_of(topic, bad))]
    async with normalizer_running(connection, database_url, topics):
        places = await publisher.publish(records)
        await publisher.publish(redriven)
        await eventually(counting(pool, "raw_coingecko", 2), "what is good is stored")
        await eventually(counting(pool, "dead_letters", 2), "what is not is a letter again")
        last = {place.partition: place.offset for place in places}
        counts = ShardCounts(fetched=2, unchanged=0, published=2, dead_lettered=0)
        shard = ShardPublished(run_id=run_id, source="coingecko", at=NOW, shard="1", counts=counts, last_offsets=last)
        await publisher.publish([event_record(topics.runs, event) for event in [*started(run_id, "1"), shard]])
        (end,) = ends(await read_all(connection, topics.runs, lambda found: bool(ends(found))))
    assert isinstance(end, RunSucceeded)
    assert (end.totals.fetched, end.totals.stored, end.totals.duplicate, end.totals.dead_lettered) == (2, 1, 0, 1)
    assert sorted(row["attempt"] for row in await letters(pool)) == [1, 2]
