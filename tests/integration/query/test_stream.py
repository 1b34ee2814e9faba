"""The stream on a real broker: filters, resuming, what is gone, who is slow, how many may come, and how it ends."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import suppress
from typing import Any

import pytest

from libs.kafka.connection import KafkaConnection
from libs.kafka.end_probe import open_end_probe
from libs.kafka.tailing import AT_ONCE, Start, open_tail
from libs.process.clock import SystemClock
from services.query.keys import STREAM
from services.query.live.hub import SLICE, AssetStream
from services.query.live.wanted import Wanted
from services.query.problems import StreamNotReadyError
from services.query.topics import QueryTopics
from tests.integration.query.answers import Api, until
from tests.integration.query.conftest import Serve
from tests.stream_follower import Follower, asset, events_of, following, publish, resumed, until_ready

PADDING = 8_000


@pytest.fixture
async def streaming(serve: Serve, kafka_bootstrap_servers: str, created_topics: QueryTopics) -> AsyncIterator[Api]:
    """The service with Kafka, and without Postgres, which the stream does not need."""
    async with serve(servers=kafka_bootstrap_servers) as api:
        await until_ready(api.client.session, str(api.client.make_url("/data/stream")))
        yield api


def url_of(api: Api, query: str = "") -> str:
    return str(api.client.make_url("/data/stream")) + (f"?{query}" if query else "")


def follow(api: Api, query: str = "", follower: Follower | None = None, **headers: str) -> Any:
    return following(api.client.session, url_of(api, query), follower, **headers)


def clients_of(api: Api) -> dict[str, int]:
    return dict(api.client.app[STREAM].clients)


async def test_a_change_is_told_with_the_records_own_bytes(
    streaming: Api, connection: KafkaConnection, assets_topic: str
) -> None:
    async with follow(streaming) as follower:
        value = asset("btc", 7)
        await publish(connection, assets_topic, ("btc", value))
        await follower.until_holds(btc=7)
        hello, told = follower.told
        assert hello.name == "hello"
        assert hello.data == {"position": hello.id, "sandbox": False}
    async with streaming.client.session.get(url_of(streaming, "snapshot=true")) as response:
        assert response.headers["Cache-Control"] == "no-store"
        assert response.headers["X-Accel-Buffering"] == "no"
        assert response.headers["X-Request-Id"]
        assert "coingecko" in response.headers["X-Attribution"]
        line = b""
        while not line.startswith(b'data: {"asset_uid"'):
            line = await response.content.readline()
        assert line == b"data: " + value + b"\n"
    assert told.id != hello.id


async def test_a_long_topic_is_read_without_standing_in_the_way_of_others(
    connection: KafkaConnection, created_topics: QueryTopics, assets_topic: str
) -> None:
    """Pages are asked for while a service that has just started reads: they have a turn every so many records."""
    long = 3_000
    await publish(connection, assets_topic, *((f"a{number}", asset(f"a{number}", number + 1)) for number in range(long)))
    async with open_tail(connection, assets_topic, start=Start.BEGINNING) as tail, open_end_probe(connection) as probe:
        stream = AssetStream(tail, probe, SystemClock(), most_clients=1)

        async def until_it_takes_clients() -> None:
            while True:
                with suppress(StreamNotReadyError):
                    await stream.reader(Wanted())
                    return

        following, ready = asyncio.create_task(stream.follow()), asyncio.create_task(until_it_takes_clients())
        read, most_at_once, turns_at_the_end = 0, 0, 0
        while not ready.done():
            await asyncio.sleep(0)
            before, read = read, sum(tail.positions.values())
            most_at_once = max(most_at_once, read - before)
            turns_at_the_end += read == long
        following.cancel()
        await asyncio.wait([following])
    assert most_at_once <= AT_ONCE
    assert turns_at_the_end >= long // SLICE, "all of it is read, and put in order slice by slice"


async def test_each_filter_is_told_what_fits_and_what_no_longer_does(
    streaming: Api, connection: KafkaConnection, assets_topic: str
) -> None:
    topic = assets_topic
    first = [("btc", asset("btc", 1, rank=1)), ("eth", asset("eth", 2, rank=2)), ("doge", asset("doge", 3, rank=9, source="csv"))]
    await publish(connection, topic, *first)
    async with (
        follow(streaming, "snapshot=true") as every,
        follow(streaming, "snapshot=true&uid=BTC,doge") as two,
        follow(streaming, "snapshot=true&uid=btc&uid=doge") as the_same_two,
        follow(streaming, "snapshot=true&top=2") as best,
        follow(streaming, "snapshot=true&source=csv") as of_csv,
        follow(streaming, "snapshot=true&source=csv&top=2&uid=doge") as narrow,
    ):
        await every.until_holds(btc=1, eth=2, doge=3)
        await best.until_holds(btc=1, eth=2)
        await publish(connection, topic, ("doge", asset("doge", 4, rank=2, source="csv")), ("eth", asset("eth", 5, rank=3)))
        await every.until_holds(btc=1, eth=5, doge=4)
        for follower in (two, the_same_two):
            await follower.until_holds(btc=1, doge=4)
        await best.until_holds(btc=1, doge=4)
        await of_csv.until_holds(doge=4)
        await narrow.until_holds(doge=4)
        await publish(connection, topic, ("doge", asset("doge", 6, rank=2)), ("btc", None))
        await every.until_holds(eth=5, doge=6)
        await two.until_holds(doge=6)
        await best.until_holds(doge=6)
        await of_csv.until_holds()
        await narrow.until_holds()
        assert [told.data for told in of_csv.named("removed")] == [{"asset_uid": "doge"}]
        assert [told.data for told in best.named("removed")] == [{"asset_uid": "eth"}, {"asset_uid": "btc"}]
        assert not any(one.named("conflated") or one.named("reset") for one in (every, two, best, of_csv, narrow))


async def test_a_client_that_comes_again_is_told_what_it_has_missed_and_no_more(
    serve: Serve, kafka_bootstrap_servers: str, created_topics: QueryTopics, connection: KafkaConnection, assets_topic: str
) -> None:
    async with serve(servers=kafka_bootstrap_servers) as api:
        await publish(connection, assets_topic, *((f"a{number}", asset(f"a{number}", number + 1)) for number in range(50)))
        async with follow(api, "snapshot=true") as follower:
            await follower.until(lambda one: len(one.held) == 50)
        await publish(connection, assets_topic, ("a1", asset("a1", 60)), ("a2", asset("a2", 61)), ("a3", None))
        told = len(follower.told)
        async with follow(api, "snapshot=true", follower, **resumed(follower)):
            await follower.until(lambda one: (one.held["a1"], one.held["a2"], "a3" in one.held) == (60, 61, False))
            assert len(follower.told) == told + 4, "hello, two assets, and what is gone"
    async with serve(servers=kafka_bootstrap_servers) as restarted:  # reads the topic anew, in another order
        await publish(connection, assets_topic, ("a4", None), ("a5", asset("a5", 70)))
        told = len(follower.told)
        async with follow(restarted, f"last_event_id={follower.last_id}", follower):
            await follower.until(lambda one: one.held["a5"] == 70 and "a4" not in one.held)
            assert len(follower.told) == told + 3
        assert not follower.named("reset")
        assert len(follower.held) == 48


async def test_a_client_that_breaks_off_within_the_snapshot_goes_on_there(
    streaming: Api, connection: KafkaConnection, assets_topic: str
) -> None:
    await publish(connection, assets_topic, *((f"a{number}", asset(f"a{number}", number + 1)) for number in range(400)))
    follower, times = Follower(), 0
    while len(follower.held) < 400:
        told = Follower()
        async with streaming.client.session.get(
            url_of(streaming, "snapshot=true"), headers={} if follower.last_id is None else resumed(follower)
        ) as response:
            async for event in events_of(response.content):
                follower.hear(event)
                told.hear(event)
                if len(told.told) > 100:
                    break
                if len(follower.held) == 400:
                    break
        times += 1
        assert times < 10
    assert times >= 4
    assert len(follower.named("asset")) == 400, "nothing twice"


async def test_a_position_that_nobody_can_answer_is_answered_with_all_there_is(
    streaming: Api, connection: KafkaConnection, assets_topic: str
) -> None:
    await publish(connection, assets_topic, ("btc", asset("btc", 1)))
    async with follow(streaming, "snapshot=true") as follower:
        await follower.until_holds(btc=1)
    newest_ms, *offsets = str(follower.last_id).split(".")
    aged = f"{int(newest_ms, 16) - 21 * 3_600_000:x}"
    for position in (
        ".".join([newest_ms, "ffff", *offsets[1:]]),  # beyond the end: of a topic that had more
        ".".join([newest_ms, *offsets, "0"]),  # of one with other partitions
        ".".join([aged, *offsets]),  # below its offsets is what is newer than anything that it covers
        f"{aged}.0.0.1",  # so old that a tombstone may be gone
    ):
        async with follow(streaming, f"last_event_id={position}") as again:
            await again.until_holds(btc=1)
            assert [one.name for one in again.told] == ["hello", "reset", "asset"], position


async def test_a_position_that_is_none_is_refused_by_name(streaming: Api) -> None:
    answered = await streaming.get("/data/stream?last_event_id=nonsense")
    assert (answered.status, answered.body["parameter"]) == (400, "last_event_id")
    answered = await streaming.get("/data/stream", headers={"Last-Event-ID": "nonsense"})
    assert (answered.status, answered.body["parameter"]) == (400, "Last-Event-ID")
    for query in ("snapshot=yes", "top=0", "top=1.5", "source=nobody", "uid=", "uid=a,,b", "snapshot=true&snapshot=true"):
        answered = await streaming.get(f"/data/stream?{query}")
        assert answered.status == 400, query


async def test_bytes_that_are_no_asset_are_passed_over_and_lines_within_one_do_not_end_its_event(
    streaming: Api, connection: KafkaConnection, assets_topic: str
) -> None:
    async with follow(streaming) as follower:
        pretty = asset("eth", 2).replace(b",", b",\r\n\n  ")
        await publish(
            connection, assets_topic, ("btc", b"\xff{"), ("btc", b"[]"), ("", None), ("eth", pretty), ("btc", asset("btc", 3))
        )
        await follower.until_holds(btc=3, eth=2)


async def test_what_was_published_twice_and_what_is_older_is_told_once(
    streaming: Api, connection: KafkaConnection, assets_topic: str
) -> None:
    async with follow(streaming) as follower:
        for version in (5, 5, 4, 6):
            await publish(connection, assets_topic, ("btc", asset("btc", version)))
        await follower.until_holds(btc=6)
        assert [told.data["version"] for told in follower.named("asset")] == [5, 6]


async def test_a_slow_client_is_conflated_and_told_so_while_a_fast_one_beside_it_gets_everything(
    streaming: Api, connection: KafkaConnection, assets_topic: str
) -> None:
    rounds, assets = 300, 10
    reader, writer = await asyncio.open_connection(streaming.client.host, streaming.client.port, limit=1_024)
    writer.write(b"GET /data/stream HTTP/1.1\r\nHost: x\r\n\r\n")
    await reader.readuntil(b"\r\n\r\n")
    async with follow(streaming) as fast:
        for start in range(0, rounds, 50):
            records = [
                (f"a{number}", asset(f"a{number}", 1 + round_ * assets + number, padding=PADDING))
                for round_ in range(start, start + 50)
                for number in range(assets)
            ]
            await publish(connection, assets_topic, *records)
            await fast.until(lambda one, want=(start + 50) * assets: len(one.named("asset")) == want)
        assert not fast.named("conflated")
    slow = Follower()
    content = StreamOfChunks(reader)
    newest = {f"a{number}": 1 + (rounds - 1) * assets + number for number in range(assets)}
    async with asyncio.timeout(120):
        async for told in events_of(content):
            slow.hear(told)
            if slow.held == newest:
                break
    writer.close()
    assert slow.skipped > 0
    assert len(slow.named("asset")) + slow.skipped == rounds * assets, "each change was told, or counted as left out"
    assert clients_of(streaming)["sse"] <= 1


class StreamOfChunks:
    """The body of an answer in chunks, line by line, read as slowly as one likes."""

    def __init__(self, reader: asyncio.StreamReader) -> None:
        self._reader = reader
        self._rest = b""

    def __aiter__(self) -> "StreamOfChunks":
        return self

    async def __anext__(self) -> bytes:
        while b"\n" not in self._rest:
            size = int(await self._reader.readuntil(b"\r\n"), 16)
            if size == 0:
                raise StopAsyncIteration
            self._rest += (await self._reader.readexactly(size + 2))[:-2]
        line, _, self._rest = self._rest.partition(b"\n")
        return line + b"\n"


async def test_heartbeats_come_when_nothing_else_does(streaming: Api) -> None:
    streaming.client.app[STREAM].heartbeat_seconds = 0.1
    async with follow(streaming) as follower:
        await follower.until(lambda one: one.heartbeats >= 2)


async def test_one_client_more_than_there_may_be_is_told_when_to_come_again(
    serve: Serve, kafka_bootstrap_servers: str, created_topics: QueryTopics
) -> None:
    async with serve(servers=kafka_bootstrap_servers, stream_clients=2) as api:
        async with follow(api), follow(api):
            answered = await api.get("/data/stream")
            assert (answered.status, answered.code, answered.headers["Retry-After"]) == (503, "stream_full", "5")
            assert (await api.get("/health")).status == 200

        async def there_is_room() -> bool:
            return clients_of(api) == {"sse": 0, "websocket": 0}

        await until(there_is_room)
        async with follow(api) as follower:
            assert follower.told


async def test_while_kafka_was_never_there_a_client_is_told_when_to_come_again(serve: Serve) -> None:
    async with serve() as api:
        answered = await api.get("/data/stream")
        assert (answered.status, answered.code, answered.headers["Retry-After"]) == (503, "stream_not_ready", "5")


async def test_head_is_answered_and_over(streaming: Api) -> None:
    async with asyncio.timeout(20), streaming.client.session.head(url_of(streaming)) as response:
        assert (response.status, response.headers["Content-Type"]) == (200, "text/event-stream")


async def test_clients_are_let_go_when_the_service_stops(
    serve: Serve, kafka_bootstrap_servers: str, created_topics: QueryTopics, connection: KafkaConnection, assets_topic: str
) -> None:
    """Also one that takes nothing. Each that listens sees an orderly end, and not a broken connection."""
    loop = asyncio.get_running_loop()
    async with serve(servers=kafka_bootstrap_servers) as api:
        await until_ready(api.client.session, url_of(api))
        stuck, writer = await asyncio.open_connection(api.client.host, api.client.port, limit=1_024)
        writer.write(b"GET /data/stream HTTP/1.1\r\nHost: x\r\n\r\n")
        await stuck.readuntil(b"\r\n\r\n")
        async with follow(api) as follower:
            for round_ in range(5):
                records = [(f"a{number}", asset(f"a{number}", 1 + round_, padding=PADDING)) for number in range(100)]
                await publish(connection, assets_topic, *records)
            await follower.until(lambda one: len(one.held) == 100 and set(one.held.values()) == {5})
            began = loop.time()
            api.client.app[STREAM].release()
            await follower.until(lambda one: one.over)
            assert (await api.get("/data/stream")).code == "stream_full"

            async def all_are_gone() -> bool:
                return clients_of(api) == {"sse": 0, "websocket": 0}

            await until(all_are_gone)
            assert loop.time() - began < 30
        writer.close()
