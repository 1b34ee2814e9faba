"""The stream through a WebSocket: the same events, a subscription that changes, and mistakes that break nothing."""

import asyncio
import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import aiohttp
import pytest
from aiohttp import WSMsgType

from libs.kafka.connection import KafkaConnection
from services.query.keys import STREAM
from services.query.topics import QueryTopics
from tests.integration.query.answers import Api, until
from tests.integration.query.conftest import Serve
from tests.stream_follower import Follower, Told, asset, publish, until_ready


@pytest.fixture
async def streaming(serve: Serve, kafka_bootstrap_servers: str, created_topics: QueryTopics) -> AsyncIterator[Api]:
    async with serve(servers=kafka_bootstrap_servers) as api:
        await until_ready(api.client.session, str(api.client.make_url("/data/stream")))
        yield api


@asynccontextmanager
async def connected(api: Api, query: str = "", **headers: str) -> AsyncIterator[tuple[aiohttp.ClientWebSocketResponse, Follower]]:
    follower = Follower()
    async with api.client.session.ws_connect(api.client.make_url(f"/data/ws?{query}"), headers=headers) as socket:

        async def hear() -> None:
            async for message in socket:
                if message.type is WSMsgType.TEXT:
                    told = json.loads(message.data)
                    assert told.keys() == {"event", "id", "data"}
                    follower.hear(Told(told["event"], told["id"], told["data"]))
            follower.over = True

        hearing = asyncio.create_task(hear())
        try:
            await follower.until(lambda one: bool(one.named("hello")))
            yield socket, follower
        finally:
            hearing.cancel()
            await asyncio.gather(hearing, return_exceptions=True)


async def test_the_same_events_come_and_a_client_changes_what_it_wants(
    streaming: Api, connection: KafkaConnection, assets_topic: str
) -> None:
    await publish(connection, assets_topic, ("btc", asset("btc", 1)), ("eth", asset("eth", 2, rank=2, source="csv")))
    async with connected(streaming, "snapshot=true&uid=btc", Origin="https://elsewhere.example") as (socket, follower):
        await follower.until_holds(btc=1)
        await socket.send_json({"subscribe": {"source": "csv", "snapshot": True}})
        await follower.until(lambda one: one.held == {"btc": 1, "eth": 2})
        assert len(follower.named("hello")) == 2
        await publish(connection, assets_topic, ("btc", asset("btc", 3)), ("eth", asset("eth", 4, rank=2)))
        await follower.until_holds(btc=1)
        assert follower.named("removed")[0].data == {"asset_uid": "eth"}
        await socket.send_json({"subscribe": {"top": 1, "last_event_id": follower.last_id, "uid": ["BTC"]}})
        await publish(connection, assets_topic, ("btc", asset("btc", 5)))
        await follower.until_holds(btc=5)


async def test_a_mistake_is_told_by_name_and_breaks_nothing(
    streaming: Api, connection: KafkaConnection, assets_topic: str
) -> None:
    mistakes: list[tuple[Any, str]] = [
        ("{", "message"),
        ("[]", "message"),
        ('{"subscribe": 1}', "subscribe"),
        ('{"subscribe": {"top": 0}}', "subscribe.top"),
        ('{"subscribe": {"top": "5"}}', "subscribe.top"),
        ('{"subscribe": {"uid": []}}', "subscribe.uid"),
        ('{"subscribe": {"uid": ["btc", ""]}}', "subscribe.uid.1"),
        ('{"subscribe": {"source": "nobody"}}', "subscribe.source"),
        ('{"subscribe": {"last_event_id": "x"}}', "subscribe.last_event_id"),
        ('{"subscribe": {"rank": 1}}', "subscribe.rank"),
        ('{"unsubscribe": {}}', "subscribe"),
    ]
    async with connected(streaming) as (socket, follower):
        for said, _ in mistakes:
            await socket.send_str(said)
        await socket.send_bytes(b"\0")
        await follower.until(lambda one: len(one.named("error")) == len(mistakes) + 1)
        assert [told.data["parameter"] for told in follower.named("error")] == [*(named for _, named in mistakes), "message"]
        await publish(connection, assets_topic, ("btc", asset("btc", 1)))
        await follower.until_holds(btc=1)


async def test_a_client_that_asks_and_asks_is_heard_a_few_times_a_second(streaming: Api) -> None:
    async with connected(streaming) as (socket, follower):
        began = asyncio.get_running_loop().time()
        for _ in range(500):
            await socket.send_str('{"subscribe": {}}')
        await follower.until(lambda one: len(one.named("hello")) > 5)
        assert asyncio.get_running_loop().time() - began > 0.3
        assert len(follower.named("hello")) < 100


async def test_behind_the_hello_of_a_subscription_nothing_comes_of_the_one_before(
    streaming: Api, connection: KafkaConnection, assets_topic: str
) -> None:
    """Also where a client has not taken all of what it wanted before; in each round it stops at another place."""
    many = [(f"a{number}", asset(f"a{number}", 1, padding=20_000)) for number in range(400)]
    await publish(connection, assets_topic, *many, ("btc", asset("btc", 1)))
    url = streaming.client.make_url("/data/ws?snapshot=true")
    for taken in range(4):
        async with streaming.client.session.ws_connect(url) as socket, asyncio.timeout(60):
            heard = [json.loads((await socket.receive()).data) for _ in range(1 + taken)]
            await asyncio.sleep(0.3)  # not a wait: what lies between us fills
            await socket.send_json({"subscribe": {"uid": ["btc"], "snapshot": True}})
            while [told["event"] for told in heard].count("hello") < 2:
                heard.append(json.loads((await socket.receive()).data))
            assert json.loads((await socket.receive()).data)["data"].get("asset_uid") == "btc"


async def test_a_message_of_any_length_is_not_taken(streaming: Api) -> None:
    async with streaming.client.session.ws_connect(streaming.client.make_url("/data/ws")) as socket:
        await socket.receive()
        await socket.send_str("x" * 100_000)
        async with asyncio.timeout(30):
            closed = await socket.receive()
        assert (closed.type, closed.data) == (WSMsgType.CLOSE, 1009)


async def test_pings_are_answered_and_sent(streaming: Api) -> None:
    streaming.client.app[STREAM].heartbeat_seconds = 0.1
    url = streaming.client.make_url("/data/ws")
    async with streaming.client.session.ws_connect(url, autoping=False) as socket, asyncio.timeout(30):
        await socket.receive()
        await socket.ping(b"there?")
        heard = {(await socket.receive()).type for _ in range(2)}
    assert heard == {WSMsgType.PING, WSMsgType.PONG}


async def test_a_request_without_upgrade_is_told_so(streaming: Api) -> None:
    answered = await streaming.get("/data/ws")
    assert (answered.status, answered.code, answered.headers["Upgrade"]) == (426, "upgrade_required", "websocket")


async def test_the_end_of_the_service_is_told(streaming: Api) -> None:
    async with streaming.client.session.ws_connect(streaming.client.make_url("/data/ws")) as socket, asyncio.timeout(30):
        await socket.receive()
        streaming.client.app[STREAM].release()
        closed = await socket.receive()
        assert (closed.type, closed.data) == (WSMsgType.CLOSE, 1001)

        async def it_is_gone() -> bool:
            return bool(streaming.client.app[STREAM].clients["websocket"] == 0)

        await until(it_is_gone)
