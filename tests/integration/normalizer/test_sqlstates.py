"""A running worker meets what Postgres can say: values are set aside alone, trouble is waited out, whatever it is called."""

import json
from collections.abc import Sequence

from libs.kafka.connection import KafkaConnection
from libs.kafka.publishing import Publisher
from libs.kafka.records import Record
from libs.postgres.pool import Pool
from libs.process.clock import SystemClock
from libs.process.outages import OutageBoard
from services.normalizer.health import Health
from services.normalizer.wiring import Topics
from tests.integration.normalizer.conftest import count, counting, normalizer_running, raw_tick, read_all, record_of
from tests.integration.streaming.conftest import committed, eventually

RAISE = """
    CREATE TABLE says (source_id text PRIMARY KEY, sqlstate text NOT NULL);
    CREATE FUNCTION say() RETURNS trigger LANGUAGE plpgsql AS $$
    DECLARE found text := (SELECT sqlstate FROM says WHERE source_id IN (NEW.source_id, '*') LIMIT 1);
    BEGIN
        IF found IS NOT NULL THEN RAISE EXCEPTION 'as the test says' USING ERRCODE = found; END IF;
        RETURN NEW;
    END $$;
    CREATE TRIGGER says BEFORE INSERT ON raw_coingecko FOR EACH ROW EXECUTE FUNCTION say()"""
TROUBLE = ("53100", "40P01", "40001", "25006", "57P01", "57P03", "58030", "08006")
"""Disk full, deadlock, serialization failure, read-only failover, admin shutdown, starting up, I/O error, connection lost."""


def ticks(topics: Topics, first: int, number: int) -> Sequence[Record]:
    return [record_of(topics.raw["coingecko"], raw_tick(f"coin{n}", "same")) for n in range(first, first + number)]


async def applied(connection: KafkaConnection, topics: Topics) -> int:
    offsets = await committed(connection, topics.group)
    return sum(offset for (topic, _), offset in offsets.items() if topic == topics.raw["coingecko"])


async def test_three_refused_values_among_five_hundred_are_set_aside_alone(
    connection: KafkaConnection, database_url: str, pool: Pool, publisher: Publisher, topics: Topics
) -> None:
    refused = {"coin7": "22003", "coin300": "22P05", "coin499": "23514"}
    await pool.execute(RAISE)
    await pool.executemany("INSERT INTO says VALUES ($1, $2)", list(refused.items()))
    await publisher.publish(ticks(topics, 0, 500))
    async with normalizer_running(connection, database_url, topics):
        letters = await read_all(connection, topics.dead_letters, lambda found: len(found) >= 3)

        async def all_applied() -> bool:
            return await applied(connection, topics) == 500

        await eventually(all_applied, "everything is applied", 30)
        await eventually(counting(pool, "dead_letters", 3), "three letters")
    assert {json.loads(letter.value or b"")["source_id"] for letter in letters} == set(refused)
    assert {dict(letter.headers)["__connect.errors.class.name"] for letter in letters} == {b"refused_by_database"}
    assert await count(pool, "raw_coingecko") == 497
    counted = await pool.fetch("SELECT sum(stored), sum(duplicate), sum(dead_lettered) FROM etl_run_progress")
    assert [tuple(row) for row in counted] == [(497, 0, 3)]


async def test_trouble_of_every_name_is_waited_out_and_nothing_is_set_aside(
    connection: KafkaConnection, database_url: str, pool: Pool, publisher: Publisher, topics: Topics
) -> None:
    await pool.execute(RAISE)
    clock = SystemClock()
    health = Health(clock, OutageBoard(clock), topics.group, stalled_seconds=60)
    async with normalizer_running(connection, database_url, topics, health=health) as running:
        for number, sqlstate in enumerate(TROUBLE):
            await pool.execute("INSERT INTO says VALUES ('*', $1)", sqlstate)
            await publisher.publish(ticks(topics, 20 * number, 20))

            def waits() -> bool:
                outages = health.board.outages()
                return any(one.tries > 2 and "as the test says" in one.error for one in outages)

            await eventually(waits, f"{sqlstate} is waited out")
            assert health.told().body["status"] == "waiting"
            assert await count(pool, "raw_coingecko") == 20 * number
            assert await applied(connection, topics) == 20 * number
            await pool.execute("DELETE FROM says")
            await eventually(counting(pool, "raw_coingecko", 20 * (number + 1)), f"it goes on after {sqlstate}")

            async def all_applied(ticks_sent: int = 20 * (number + 1)) -> bool:
                return await applied(connection, topics) == ticks_sent

            await eventually(all_applied, "and acknowledges")
        assert not running.done()
    assert await count(pool, "dead_letters") == 0
