"""The normalizer waits an outage out, keeps its partitions and goes on where it was; a bug ends it."""

import asyncio
import signal
from datetime import timedelta
from uuid import uuid4

from libs.contracts.topics import Topic
from libs.devstack.broker import Jars, start_broker
from libs.devstack.children import Nursery
from libs.devstack.database import start_database
from libs.kafka.admin import ensure_topics
from libs.kafka.connection import KafkaConnection
from libs.kafka.publishing import Publisher, open_publisher
from libs.kafka.records import Record
from libs.postgres.migrations import migrate
from libs.postgres.pool import Pool
from libs.postgres.writing.sessions import open_writing_pool
from libs.process.clock import SystemClock
from libs.process.outages import OutageBoard
from services.normalizer.health import Health
from services.normalizer.wiring import Topics
from tests.integration.normalizer.conftest import (
    PARTITIONS,
    counting,
    normalizer_running,
    raw_tick,
    read_all,
    record_of,
    start_process,
)
from tests.integration.streaming.conftest import committed, eventually


def ticks(topics: Topics, first: int, count: int) -> list[Record]:
    topic = topics.raw["coingecko"]
    return [record_of(topic, raw_tick(f"coin{number}", f"s{number}")) for number in range(first, first + count)]


async def all_acknowledged(connection: KafkaConnection, topics: Topics, count: int) -> bool:
    return sum((await committed(connection, topics.group)).values()) == count


async def test_postgres_killed_and_started_again_is_waited_out(
    connection: KafkaConnection, publisher: Publisher, topics: Topics, nursery: Nursery
) -> None:
    with nursery.temporary_folder("kasparro-outage-") as folder:
        server = await start_database(nursery, folder)  # one that keeps what it has committed
        await asyncio.to_thread(migrate, server.url("postgres"))
        clock = SystemClock()
        health = Health(clock, OutageBoard(clock), topics.group, stalled_seconds=3)
        async with normalizer_running(connection, server.url("postgres"), topics, health=health) as running:
            await publisher.publish(ticks(topics, 0, 500))
            await eventually(lambda: all_acknowledged(connection, topics, 500), "the first ticks")
            before = health.told().body
            assert before["status"] == "ok"
            server.child.signal(signal.SIGKILL)
            await server.child.until_ended()
            await publisher.publish(ticks(topics, 500, 500))
            await asyncio.sleep(12)  # longer than the session timeout: the partitions must stay ours all the while
            assert not running.done()
            assert await all_acknowledged(connection, topics, 500)
            told = health.told()
            postgres = told.body["dependencies"]["postgres"]
            assert (told.live, told.ready, told.body["status"], postgres["status"]) == (True, False, "waiting", "down")
            assert 10 < postgres["seconds"] < 30
            assert postgres["tries"] > 1
            assert "Connect" in postgres["error"]
            assert told.body["since"] == postgres["since"] or told.body["since"] > before["since"]
            again = await start_database(nursery, folder, port=server.port)
            await eventually(lambda: all_acknowledged(connection, topics, 1_000), "the rest", 40)
            await eventually(lambda: health.told().body["status"] == "ok", "ok again", 20)
            same = ("member_id", "generation")
            assert [health.told().body[name] for name in same] == [before[name] for name in same]
            async with open_writing_pool(again.url("postgres"), application="test", connections=1, statement_seconds=20) as pool:
                assert await pool.fetchval("SELECT count(*) FROM raw_coingecko") == 1_000
                assert await pool.fetchval("SELECT sum(stored) FROM etl_run_progress") == 1_000
        again.child.reap()  # or it would go on writing while its folder is deleted


async def test_a_broker_killed_and_started_again_is_waited_out(
    database_url: str, pool: Pool, nursery: Nursery, kafka_jars: Jars
) -> None:
    with nursery.temporary_folder("kasparro-outage-") as folder:
        broker = await start_broker(nursery, kafka_jars, folder / "kafka")
        connection = KafkaConnection(broker.bootstrap_servers, "test")
        mark = uuid4().hex[:8]
        topics = Topics(
            raw={"coingecko": f"r{mark}"},
            assets=f"a{mark}",
            dead_letters=f"d{mark}",
            runs=f"e{mark}",
            settlements=f"s{mark}",
            gaps=f"l{mark}",
            group=f"g{mark}",
            partitions=PARTITIONS,
        )
        day = timedelta(days=1)
        await ensure_topics(connection, [Topic(n, "a test's", "any", None, (), (), day, PARTITIONS) for n in topics.names])
        async with normalizer_running(connection, database_url, topics) as running:
            async with open_publisher(connection) as publisher:
                await publisher.publish(ticks(topics, 0, 500))
            await eventually(lambda: all_acknowledged(connection, topics, 500), "the first ticks")
            broker.child.signal(signal.SIGKILL)
            await broker.child.until_ended()
            await asyncio.sleep(5)
            again = await start_broker(nursery, kafka_jars, folder / "kafka", port=broker.port)
            async with open_publisher(connection, timeout_seconds=30) as publisher:
                await publisher.publish(ticks(topics, 500, 500))
            await eventually(counting(pool, "raw_coingecko", 1_000), "everything stored", 60)
            await eventually(lambda: all_acknowledged(connection, topics, 1_000), "everything acknowledged", 60)
            assert not running.done()
        again.child.reap()  # the same


async def test_it_waits_for_a_database_that_is_not_migrated_yet(
    connection: KafkaConnection, empty_database_url: str, publisher: Publisher, topics: Topics
) -> None:
    async with normalizer_running(connection, empty_database_url, topics) as running:
        await publisher.publish(ticks(topics, 0, 3))
        await asyncio.sleep(1)
        assert not running.done()
        await asyncio.to_thread(migrate, empty_database_url)
        found = await read_all(connection, topics.assets, lambda found: len(found) == 3)
    assert {record.key for record in found} == {b"s0", b"s1", b"s2"}


async def test_a_bug_ends_the_process_with_a_code_that_is_not_0(
    connection: KafkaConnection, database_url: str, pool: Pool, publisher: Publisher, topics: Topics
) -> None:
    await pool.execute("ALTER TABLE quotes DROP COLUMN name")
    await publisher.publish(ticks(topics, 0, 3))
    worker = await start_process(connection, database_url, topics)
    assert await asyncio.wait_for(worker.wait(), 30) not in {0, -signal.SIGKILL}
    assert await committed(connection, topics.group) == {}


async def test_a_signal_ends_the_process_in_order_and_leaves_the_group(
    connection: KafkaConnection, database_url: str, pool: Pool, publisher: Publisher, topics: Topics
) -> None:
    await publisher.publish(ticks(topics, 0, 3))
    worker = await start_process(connection, database_url, topics)
    await eventually(counting(pool, "raw_coingecko", 3), "the ticks are stored")
    worker.terminate()
    assert await asyncio.wait_for(worker.wait(), 8) == 0
    await publisher.publish(ticks(topics, 3, 3))
    async with normalizer_running(connection, database_url, topics):
        await eventually(counting(pool, "raw_coingecko", 6), "the next worker has the partitions at once", 5)
