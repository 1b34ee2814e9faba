"""`kasparro watch` follows the real stream: every change once, over cuts, and by asking where there is no room for it."""

import asyncio
import json
from collections.abc import AsyncIterator
from contextlib import aclosing
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Any

import pytest

from libs.kafka.connection import KafkaConnection
from services.cli.http_api import open_api
from services.cli.screen import Screen
from services.cli.watch.assets import Wish
from services.cli.watch.once import show_once
from services.cli.watch.streaming import Stream
from services.query.topics import QueryTopics
from tests.integration.query.answers import Api
from tests.integration.query.commands import line_of, on_a_terminal, piped
from tests.integration.query.conftest import Serve
from tests.integration.query.cut_line import Line, line_to
from tests.integration.query.rows import AssetRow, insert_assets
from tests.integration.query.test_status_command import WrongClock, address
from tests.stream_follower import asset, publish, until_ready

pytestmark = pytest.mark.timeout(400)  # each starts several processes, which take long on a full machine


@pytest.fixture
async def streaming(
    serve: Serve, database_url: str, kafka_bootstrap_servers: str, created_topics: QueryTopics
) -> AsyncIterator[Api]:
    """With room for one client."""
    async with serve(database_url=database_url, servers=kafka_bootstrap_servers, stream_clients=1, sandbox=True) as api:
        yield api


@pytest.fixture
async def line(streaming: Api) -> AsyncIterator[Line]:
    async with line_to(streaming.client.port or 0) as line:
        yield line


async def told(child: asyncio.subprocess.Process) -> tuple[str, str, int | None]:
    """Return an update: its event, its asset, its version."""
    update = json.loads(await line_of(child))
    assert update["sandbox"] is True
    assert update["id"]
    return update["event"], update["data"]["asset_uid"], update["data"].get("version")


async def test_every_change_is_a_line_once_and_a_cut_loses_none(
    line: Line, connection: KafkaConnection, assets_topic: str
) -> None:
    def say(*assets: tuple[str, int] | str) -> Any:
        named = [(each, None) if isinstance(each, str) else (each[0], asset(*each)) for each in assets]
        return publish(connection, assets_topic, *named)

    await say(("btc", 1), ("eth", 2))
    async with piped("watch", "--json", "--api", line.url) as child:
        assert {await told(child), await told(child)} == {("asset", "btc", 1), ("asset", "eth", 2)}
        await say(("btc", 3))
        assert await told(child) == ("asset", "btc", 3)
        await line.cut()
        await say(("eth", 4), ("doge", 5), "btc")
        await line.mend()
        assert {await told(child) for _ in range(3)} == {("asset", "eth", 4), ("asset", "doge", 5), ("removed", "btc", None)}
        child.terminate()
        assert await asyncio.wait_for(child.wait(), 30) == 143
        assert child.stderr
        said = (await child.stderr.read()).decode()
    assert said.count("live\n") == 2, said
    assert "cut off, asking again in" in said


async def test_a_picture_is_live_says_when_it_is_not_and_is_live_again(
    line: Line, connection: KafkaConnection, assets_topic: str
) -> None:
    await publish(connection, assets_topic, ("btc", asset("btc", 10)), ("eth", asset("eth", 11, rank=2)))
    async with on_a_terminal("watch", "--api", line.url) as terminal:
        picture = await terminal.until_shown("● live", "10.0000", "11.0000", "SANDBOX", "Powered by CoinPaprika")
        assert picture.index("btc") < picture.index("eth")
        await publish(connection, assets_topic, ("btc", asset("btc", 12)))
        await terminal.until_shown("12.0000", "▲", "▁█")
        await line.cut()
        await terminal.until_shown("○ cut off, asking again in", "12.0000")
        await publish(connection, assets_topic, ("btc", asset("btc", 13)), ("eth", None))
        await line.mend()
        picture = await terminal.until_shown("● live", "13.0000", "▁▆█")
        assert "eth" not in picture
        terminal.press_control_c()
        assert await terminal.ended() == 130


async def test_where_there_is_no_room_it_asks_until_there_is(
    streaming: Api, line: Line, database: Any, connection: KafkaConnection, assets_topic: str
) -> None:
    await publish(connection, assets_topic, ("btc", asset("btc", 1)))
    await insert_assets(database, [AssetRow("btc", 1, Decimal(5))])
    async with piped("watch", "--json", "--api", line.url, "btc") as first:
        assert (await told(first))[:2] == ("asset", "btc")
        async with piped("watch", "--json", "--api", line.url, "btc") as second:
            polled = json.loads(await line_of(second), parse_float=Decimal)
            assert (polled["id"], polled["data"]["price_usd"], polled["sandbox"]) == (None, 5, True)
            first.kill()
            await first.wait()
            await publish(connection, assets_topic, ("btc", asset("btc", 1_000_000)))
            assert await told(second) == ("asset", "btc", 1_000_000)
            second.terminate()
            await second.wait()
            assert second.stderr
            said = (await second.stderr.read()).decode()
    assert "polling every 5 s: the stream is refused: stream_full" in said
    assert said.rstrip().endswith("live")


async def test_a_stream_that_is_held_back_on_its_way_is_polled(
    line: Line, database: Any, connection: KafkaConnection, assets_topic: str
) -> None:
    await publish(connection, assets_topic, ("btc", asset("btc", 1)))
    await insert_assets(database, [AssetRow("btc", 1, Decimal(5))])
    line.held = b"GET /data/stream"
    async with piped("watch", "--json", "--api", line.url) as child:
        assert json.loads(await line_of(child))["id"] is None


@pytest.mark.parametrize("hours", [-2, 2])
async def test_ages_are_by_the_apis_clock_when_ours_is_wrong(
    streaming: Api, hours: int, capsys: pytest.CaptureFixture[str]
) -> None:
    wish, wrong = Wish((), 1, None), WrongClock(timedelta(hours=hours))
    async with open_api(address(streaming), wrong) as api:
        await show_once(api, wish, Screen(), sandbox=True, as_json=True)
    told = capsys.readouterr().out  # the service says something there too
    at = datetime.fromisoformat(json.loads(told[told.index("{\n") : told.rindex("\n}") + 2])["at"])
    assert abs(datetime.now(UTC) - at) < timedelta(minutes=10)
    await until_ready(streaming.client.session, f"{address(streaming)}/data/stream")
    async with open_api(address(streaming), wrong) as api, aclosing(Stream(api, wish).updates()) as updates:
        await anext(updates)
        assert abs(datetime.now(UTC) - api.clock.utc()) < timedelta(minutes=10)
