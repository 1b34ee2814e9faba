"""What a stream outlives: the broker, the topic, the service as a process; and what it leaves to others."""

import asyncio
import signal
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack
from dataclasses import replace
from pathlib import Path

import aiohttp
import pytest
from aiokafka import AIOKafkaProducer
from aiokafka.admin import AIOKafkaAdminClient, NewPartitions

from libs.contracts.topics import ASSETS_NORMALIZED
from libs.devstack.broker import Jars, start_broker
from libs.devstack.children import Nursery
from libs.devstack.ports import free_port
from libs.kafka.admin import ensure_topics
from libs.kafka.clients import abandon
from libs.kafka.connection import KafkaConnection
from libs.kafka.tailing import Tail
from services.query.keys import STREAM
from services.query.topics import QueryTopics
from tests.integration.query.answers import Api, until
from tests.integration.query.conftest import Serve, all_topics
from tests.integration.query.test_process import health, process
from tests.integration.query.test_stream import follow
from tests.stream_follower import Follower, asset, following, publish, resumed, until_ready

pytestmark = pytest.mark.timeout(400)


@pytest.fixture
async def streaming(serve: Serve, kafka_bootstrap_servers: str, created_topics: QueryTopics) -> AsyncIterator[Api]:
    async with serve(servers=kafka_bootstrap_servers) as api:
        await until_ready(api.client.session, str(api.client.make_url("/data/stream")))
        yield api


async def make_anew(connection: KafkaConnection, topic: str) -> None:
    """Delete the topic and create it again, as an operator does; deleting takes a moment."""
    admin = AIOKafkaAdminClient(**connection.options())
    await admin.start()
    try:
        await admin.delete_topics([topic])

        async def it_is_gone() -> bool:
            return topic not in await admin.list_topics()

        await until(it_is_gone)
    finally:
        await admin.close()
    await ensure_topics(connection, [replace(ASSETS_NORMALIZED, name=topic, partitions=3)])


async def add_partitions(connection: KafkaConnection, topic: str, partitions: int) -> None:
    admin = AIOKafkaAdminClient(**connection.options())
    await admin.start()
    try:
        await admin.create_partitions({topic: NewPartitions(partitions)})
    finally:
        await admin.close()


async def test_a_topic_that_is_made_anew_is_told_and_read_anew(
    streaming: Api, connection: KafkaConnection, assets_topic: str
) -> None:
    old = [(f"a{number}", asset(f"a{number}", number + 1)) for number in range(30)]
    await publish(connection, assets_topic, *old)
    async with follow(streaming, "snapshot=true") as follower, follow(streaming, "snapshot=true&uid=a1,a2") as narrow:
        await follower.until(lambda one: len(one.held) == 30)
        await make_anew(connection, assets_topic)
        await publish(
            connection, assets_topic, ("a1", asset("a1", 1)), ("b", asset("b", 2)), ("c", asset("c", 3)), ("d", asset("d", 4))
        )
        await follower.until_holds(a1=1, b=2, c=3, d=4)
        await narrow.until_holds(a1=1)
        assert len(follower.named("reset")) >= 1
    before = Follower(last_id=follower.told[1].id)
    async with follow(streaming, "", before, **resumed(before)):
        await before.until_holds(a1=1, b=2, c=3, d=4)
        assert [told.name for told in before.told][:2] == ["hello", "reset"]


async def test_a_topic_that_is_made_anew_and_smaller_while_it_is_read_for_the_first_time_is_read_anew(
    serve: Serve, kafka_bootstrap_servers: str, created_topics: QueryTopics, connection: KafkaConnection, assets_topic: str
) -> None:
    """A transaction that stays open holds the reader just below the end, in the midst of it."""
    await publish(connection, assets_topic, *((f"a{number}", asset(f"a{number}", number + 1)) for number in range(30)))
    holding = AIOKafkaProducer(**connection.options(), transactional_id=assets_topic)
    await holding.start()
    try:
        await holding.begin_transaction()
        await holding.send_and_wait(assets_topic, asset("held", 1), key=b"held")
        async with serve(servers=kafka_bootstrap_servers) as api:
            tail: Tail = api.client.app[STREAM].tail

            async def all_but_one_are_read() -> bool:
                return sum(tail.positions.values()) == 30

            await until(all_but_one_are_read)
            await make_anew(connection, assets_topic)
            await publish(connection, assets_topic, ("b", asset("b", 2)), ("c", asset("c", 3)))
            async with follow(api, "snapshot=true") as follower:
                await follower.until_holds(b=2, c=3)
    finally:
        await abandon(holding)


async def test_partitions_that_are_added_are_noticed_and_the_topic_read_anew(
    serve: Serve, kafka_bootstrap_servers: str, created_topics: QueryTopics, connection: KafkaConnection, assets_topic: str
) -> None:
    before = [(f"a{number}", asset(f"a{number}", 1)) for number in range(10)]
    after = [(f"b{number}", asset(f"b{number}", 2)) for number in range(30)]
    await publish(connection, assets_topic, *before)
    async with (
        serve(servers=kafka_bootstrap_servers, metadata_seconds=0.5) as api,
        follow(api, "snapshot=true") as follower,
        follow(api, "snapshot=true&uid=a1") as narrow,
    ):
        await follower.until(lambda one: len(one.held) == 10)
        away = Follower(last_id=follower.last_id)
        await add_partitions(connection, assets_topic, 12)
        await follower.until(lambda one: bool(one.named("reset")))  # with nothing in the new ones yet
        await publish(connection, assets_topic, *after)
        await follower.until_holds(**{uid: 1 for uid, _ in before}, **{uid: 2 for uid, _ in after})
        await narrow.until_holds(a1=1)
        async with follow(api, "", away, **resumed(away)):
            await away.until(lambda one: one.held == follower.held)
            assert [told.name for told in away.told][:2] == ["hello", "reset"]


async def test_a_broker_that_is_killed_costs_no_client_a_change(
    serve: Serve,
    topics: QueryTopics,
    cursors_topic: str,
    incidents_topic: str,
    assets_topic: str,
    nursery: Nursery,
    kafka_jars: Jars,
) -> None:
    port = free_port()
    with nursery.temporary_folder("kasparro-stream-") as folder:
        broker = await start_broker(nursery, kafka_jars, folder, port=port)
        connection = KafkaConnection(broker.bootstrap_servers, "stream-test")
        await ensure_topics(connection, all_topics(topics, cursors_topic, incidents_topic))
        async with serve(servers=broker.bootstrap_servers) as api, follow(api, "snapshot=true") as follower:
            await publish(connection, assets_topic, ("btc", asset("btc", 1)), ("eth", asset("eth", 2)))
            await follower.until_holds(btc=1, eth=2)
            broker.child.signal(signal.SIGKILL)
            await broker.child.until_ended()
            again = Follower()
            async with follow(api, "snapshot=true", again):
                await again.until_holds(btc=1, eth=2)  # as last known
            broker = await start_broker(nursery, kafka_jars, folder, port=port)
            await publish(connection, assets_topic, ("btc", asset("btc", 3)))
            await follower.until_holds(btc=3, eth=2)
            async with follow(api, "", again, **resumed(again)):
                await again.until_holds(btc=3, eth=2)
            assert not follower.named("reset") + again.named("reset")
        broker.child.signal(signal.SIGKILL)
        await broker.child.until_ended()


async def test_a_process_full_of_streams_answers_others_and_lets_all_go_when_it_is_told_to_stop(
    tmp_path: Path, kafka_bootstrap_servers: str, connection: KafkaConnection
) -> None:
    await ensure_topics(connection, [ASSETS_NORMALIZED])
    port, clients = free_port(), 40
    settings = {"HTTP_CONNECTIONS": "10", "STREAM_CLIENTS": str(clients), "KAFKA_BOOTSTRAP_SERVERS": kafka_bootstrap_servers}
    url = f"http://127.0.0.1:{port}/data/stream"
    connector = aiohttp.TCPConnector(limit=0)
    async with process(tmp_path, PORT=str(port), **settings) as child, aiohttp.ClientSession(connector=connector) as session:

        async def serves() -> bool:
            return await health(session, port) is not None

        await until(serves)
        async with AsyncExitStack() as stack:
            followers = [await stack.enter_async_context(following(session, url)) for _ in range(clients)]
            for _ in range(20):
                async with aiohttp.ClientSession() as other:
                    assert await health(other, port) is not None
            async with session.get(url) as refused:
                assert (refused.status, refused.headers["Retry-After"]) == (503, "5")
            await publish(connection, ASSETS_NORMALIZED.name, ("btc", asset("btc", 1)))
            for follower in followers:
                await follower.until_holds(btc=1)
            child.send_signal(signal.SIGTERM)
            for follower in followers:
                await follower.until(lambda one: one.over)
            async with asyncio.timeout(60):
                _, stderr = await child.communicate()
    assert child.returncode == 0
    said = stderr.decode()
    assert said.count('"event": "stream_ended"') == clients
    assert "Traceback" not in said
