"""`kasparro status`: what it shows of the running service, and that its exit code says whether somebody has to look."""

import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import UTC, datetime, timedelta
from typing import Any

from aiokafka import AIOKafkaConsumer

from libs.postgres.writing.dead_letters import upsert_letters
from libs.process.clock import SystemClock
from services.cli.http_api import open_api
from services.cli.status.asking import look
from services.query.topics import QueryTopics
from tests.integration.query.answers import Api, until
from tests.integration.query.commands import kasparro, on_a_terminal
from tests.integration.query.conftest import Serve
from tests.integration.query.rows import AssetRow, QuoteRow, insert_assets, insert_quotes, insert_run
from tests.integration.query.test_dead_letters import letter

HOSTILE = "\x1b]0;owned\x07 [red]402[/] \u202eevil"


@asynccontextmanager
async def consuming(servers: str, topics: QueryTopics, api: Api) -> AsyncIterator[None]:
    """A member in the normalizer's group."""
    consumer = AIOKafkaConsumer(*topics.raw.values(), bootstrap_servers=servers, group_id=topics.group)
    await consumer.start()

    async def seen() -> bool:
        return bool((await api.get("/stats/checkpoints")).body["members"])

    try:
        await until(seen)
        yield
    finally:
        await consumer.stop()


def address(api: Api) -> str:
    return str(api.client.make_url("")).rstrip("/")


async def test_a_healthy_pipeline_ends_with_0_and_its_parts_can_be_read_in_a_pipe(
    whole_api: Api, kafka_bootstrap_servers: str, topics: QueryTopics, database: Any
) -> None:
    for source in ("csv", "coinpaprika", "coingecko"):
        await insert_run(database, source, "succeeded", age=timedelta(hours=source != "coingecko"), stored=7)
    await insert_quotes(database, [QuoteRow("coingecko", "bitcoin", "btc")])
    await insert_assets(database, [AssetRow("btc")])
    async with consuming(kafka_bootstrap_servers, topics, whole_api):
        ended = await kasparro("status", "--api", address(whole_api), API_TOKEN="wrong")
        assert (ended.code, ended.err) == (0, ""), ended
        assert f"at {address(whole_api)}" in ended.out
        assert "ok     all is well" in ended.out
        assert "\x1b" not in ended.out
        lines = [line.split() for line in ended.out.splitlines()]
        assert ["coingecko", "idle", "0", "0", "s", "0", "0"] in lines  # two partitions here
        assert next(line for line in lines if line[:1] == ["binance"])[:4] == ["binance", "not", "run", "here"]
        assert any(line[2:6] == ["coingecko", "succeeded", "schedule", "7"] for line in lines)
        document = json.loads((await kasparro("status", "--json", KASPARRO_API_URL=address(whole_api))).out)
    assert (document["well"], document["wrong"], document["notes"], document["unavailable"]) == (True, [], [], {})
    assert document["sandbox"] is False
    assert set(document) == {
        *("api", "sandbox", "well", "wrong", "notes", "at", "unavailable"),
        *("health", "sources", "checkpoints", "runs", "dead_letters", "gaps", "incidents"),
    }
    assert document["runs"]["runs"][0]["counts"]["stored"] == 7


async def test_what_is_wrong_is_named_first_and_ends_with_1(whole_api: Api, database: Any) -> None:
    await insert_run(database, "csv", "failed")
    await database.execute("UPDATE etl_runs SET error = $1", HOSTILE)
    await upsert_letters(database, [letter(1, "missing_symbol")])
    ended = await kasparro("status", "--api", address(whole_api))
    assert ended.code == 1, ended
    wrong = [line for line in ended.out.splitlines() if line.startswith("wrong")]
    assert len(wrong) == 2
    assert "nobody consumes" in wrong[0]
    assert "csv: its last run failed" in wrong[1]
    assert "\\x1b]0;owned\\x07 [red]402[/] \\u202eevil" in wrong[1]
    assert "note   1 dead letters wait" in ended.out
    assert not set(ended.out) & set("\x1b\x07\u202e")


async def test_on_a_terminal_it_is_coloured_cut_and_harmless(whole_api: Api, database: Any) -> None:
    await insert_run(database, "csv", "failed")
    await database.execute("UPDATE etl_runs SET error = $1", HOSTILE)
    async with on_a_terminal("status", "--api", address(whole_api), columns=60) as terminal:
        assert await terminal.ended() == 1
        terminal.read()
        said = terminal.said
    assert "\x1b[1;31m" in said
    assert "…" in said
    assert "\x1b]" not in said
    assert "\u202e" not in said


async def test_made_up_data_are_marked_and_kafka_away_is_wrong_not_unknown(serve: Serve, database_url: str) -> None:
    async with serve(database_url=database_url, sandbox=True) as api:
        ended = await kasparro("status", "--api", address(api))
        document = json.loads((await kasparro("status", "--json", "--api", address(api))).out)
    assert ended.code == 1
    assert "SANDBOX" in ended.out.splitlines()[1]
    assert "kafka is down" in ended.out
    assert "checkpoints: cannot be told now, kafka_unavailable" in ended.out
    assert "last runs" in ended.out
    assert (document["sandbox"], document["well"], document["checkpoints"]) == (True, False, None)
    assert list(document["unavailable"]) == ["checkpoints"]


class WrongClock(SystemClock):
    """A machine's whose clock is not the API's."""

    def __init__(self, ahead: timedelta) -> None:
        self._ahead = ahead

    def utc(self) -> datetime:
        return super().utc() + self._ahead


async def test_ages_are_by_the_apis_clock_when_ours_is_wrong(serve: Serve, database_url: str) -> None:
    async with serve(database_url=database_url) as api, open_api(address(api)) as asked:
        for hours in (-2, 2):
            found = await look(asked, WrongClock(timedelta(hours=hours)))
            assert abs(datetime.now(UTC) - found.at) < timedelta(minutes=10)
            assert found.at - found.health.dependencies["postgres"].since < timedelta(minutes=10)
        ours = await look(asked, SystemClock())
        assert ours.at.microsecond, "a clock that is right is read as it is"
