"""POST /etl: the producers and the normalizer are played by their messages."""

import asyncio
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager, suppress
from datetime import UTC, datetime
from typing import Any
from uuid import uuid4

import pytest

from libs.contracts.commands import PollCommand
from libs.contracts.run_events import (
    RUN_EVENT,
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
from libs.domain.runs import Trigger
from libs.kafka.connection import KafkaConnection
from libs.kafka.publishing import open_publisher
from libs.kafka.records import Record
from libs.kafka.tailing import Start, open_tail, read_to_end
from services.query.access import Access
from services.query.keys import RUNS
from services.query.topics import QueryTopics
from tests.integration.query.answers import Api, until
from tests.integration.query.conftest import Serve

Story = Callable[[PollCommand], Sequence[Any]]
COUNTS = ShardCounts(fetched=10, unchanged=4, published=5, dead_lettered=1)
TOTALS = RunTotals(fetched=10, unchanged=4, published=5, stored=5, duplicate=0, dead_lettered=1)


def happened(command: PollCommand) -> dict[str, Any]:
    return {"run_id": command.run_id, "source": command.source, "at": datetime.now(UTC)}


def started(command: PollCommand) -> RunStarted:
    return RunStarted(**happened(command), trigger=command.trigger, shards=("1",))


def succeeds(command: PollCommand) -> list[Any]:
    published = ShardPublished(**happened(command), shard="1", counts=COUNTS, last_offsets={0: 41})
    return [started(command), published, RunSucceeded(**happened(command), totals=TOTALS)]


def fails(command: PollCommand) -> list[Any]:
    failed = ShardFailed(**happened(command), shard="1", error="402: the plan's requests are used up")
    return [started(command), failed, RunFailed(**happened(command), error="1: 402", totals=RunTotals())]


def is_skipped(command: PollCommand) -> list[Any]:
    return [RunSkipped(**happened(command), trigger=command.trigger, reason="there is no file")]


def goes_on(command: PollCommand) -> list[Any]:
    return [started(command), ShardPublished(**happened(command), shard="1", counts=COUNTS, last_offsets={0: 41})]


@asynccontextmanager
async def producer(
    connection: KafkaConnection, topics: QueryTopics, source: str, story: Story
) -> AsyncIterator[list[PollCommand]]:
    """Answers each command of a source with a story."""
    taken: list[PollCommand] = []
    async with open_publisher(connection) as publisher, open_tail(connection, topics.commands[source], start=Start.END) as tail:

        async def work() -> None:
            async for records in tail:
                for record in records:
                    command = PollCommand.model_validate_json(record.value or b"")
                    taken.append(command)
                    key = str(command.run_id).encode()
                    await publisher.publish(
                        [Record(topics.run_events, key, RUN_EVENT.dump_json(event)) for event in story(command)]
                    )

        task = asyncio.create_task(work())
        await asyncio.wait_for(tail.ready.wait(), 15)
        yield taken
        task.cancel()
        with suppress(asyncio.CancelledError):
            await task


async def test_a_finished_run_is_200_with_its_counts(
    whole_api: Api, connection: KafkaConnection, created_topics: QueryTopics
) -> None:
    async with producer(connection, created_topics, "coingecko", succeeds) as taken:
        answered = await whole_api.post("/etl/run/coingecko")
    run = answered.body
    assert (answered.status, run["status"], run["counts"]) == (200, "succeeded", TOTALS.model_dump())
    assert answered.headers["Location"] == f"/stats/runs/{run['run_id']}"
    (command,) = taken
    assert (str(command.run_id), command.shard, command.trigger) == (run["run_id"], "*", Trigger.MANUAL)
    assert (command.expires_at - command.requested_at).total_seconds() == 600
    events = await read_to_end(connection, created_topics.run_events)
    told = RUN_EVENT.validate_json(events[0].value or b"")
    assert isinstance(told, RunRequested)
    assert events[0].key == str(command.run_id).encode()


async def test_a_failed_run_is_502_with_the_run(whole_api: Api, connection: KafkaConnection, created_topics: QueryTopics) -> None:
    async with producer(connection, created_topics, "coinpaprika", fails):
        answered = await whole_api.post("/etl/run/coinpaprika")
    assert (answered.status, answered.code) == (502, "provider_failed")
    assert (answered.body["run"]["status"], answered.body["run"]["error"]) == ("failed", "1: 402")


async def test_a_skipped_run_is_200_with_the_reason(
    whole_api: Api, connection: KafkaConnection, created_topics: QueryTopics
) -> None:
    async with producer(connection, created_topics, "csv", is_skipped):
        answered = await whole_api.post("/etl/run/csv")
    assert (answered.status, answered.body["status"], answered.body["error"]) == (200, "skipped", "there is no file")


async def test_a_run_that_goes_on_is_202_with_where_to_look(
    whole_api: Api, connection: KafkaConnection, created_topics: QueryTopics
) -> None:
    async with producer(connection, created_topics, "csv", goes_on):
        answered = await whole_api.post("/etl/run/csv?timeout=1.5")
    assert (answered.status, answered.body["status"], answered.body["counts"]["fetched"]) == (202, "published", 10)
    assert answered.headers["Location"].startswith("/stats/runs/")


async def test_a_command_that_nobody_takes_is_504(whole_api: Api) -> None:
    answered = await whole_api.post("/etl/run/csv?timeout=5")
    assert (answered.status, answered.code, answered.body["run"]["status"]) == (504, "not_taken", "requested")


async def test_run_all_reports_each_source(whole_api: Api, connection: KafkaConnection, created_topics: QueryTopics) -> None:
    async with (
        producer(connection, created_topics, "coingecko", succeeds),
        producer(connection, created_topics, "coinpaprika", fails),
        producer(connection, created_topics, "csv", is_skipped),
    ):
        answered = await whole_api.post("/etl/run-all")
    assert answered.status == 502
    outcomes = [(one["source"], one["outcome"], one["run"]["status"]) for one in answered.body["runs"]]
    assert outcomes == [
        ("coingecko", "finished", "succeeded"),
        ("coinpaprika", "failed", "failed"),
        ("csv", "finished", "skipped"),
    ]


async def test_a_slow_source_takes_no_other_s_share_of_run_all(
    whole_api: Api, connection: KafkaConnection, created_topics: QueryTopics
) -> None:
    async with (
        producer(connection, created_topics, "coingecko", lambda command: [started(command)]),
        producer(connection, created_topics, "coinpaprika", goes_on),
        producer(connection, created_topics, "csv", is_skipped),
    ):
        answered = await whole_api.post("/etl/run-all?timeout=6")
    assert answered.status == 202
    told = [(one["source"], one["outcome"], one["run"]["waiting_for"]) for one in answered.body["runs"]]
    assert told == [
        ("coingecko", "still_going", "the provider's answers, or its quota: 1"),
        ("coinpaprika", "still_going", "the normalizer to store it"),
        ("csv", "finished", None),
    ]


async def test_run_all_without_kafka_is_503(api: Api) -> None:
    answered = await api.post("/etl/run-all")
    assert (answered.status, answered.code) == (503, "kafka_unavailable")


async def test_run_all_is_200_when_all_finish(whole_api: Api, connection: KafkaConnection, created_topics: QueryTopics) -> None:
    async with (
        producer(connection, created_topics, "coingecko", succeeds),
        producer(connection, created_topics, "coinpaprika", succeeds),
        producer(connection, created_topics, "csv", is_skipped),
    ):
        answered = await whole_api.post("/etl/run-all")
    assert answered.status == 200
    assert [one["outcome"] for one in answered.body["runs"]] == ["finished"] * 3


async def test_run_all_asks_also_for_what_it_cannot_wait_for(whole_api: Api) -> None:
    answered = await whole_api.post("/etl/run-all?timeout=0")
    assert answered.status == 202
    assert [one["outcome"] for one in answered.body["runs"]] == ["requested"] * 3


async def test_a_background_run_is_202_at_once(whole_api: Api, connection: KafkaConnection, created_topics: QueryTopics) -> None:
    answered = await whole_api.post("/etl/run-background/coingecko")
    assert (answered.status, answered.body["status"]) == (202, "requested")
    (record,) = await read_to_end(connection, created_topics.commands["coingecko"])
    assert str(PollCommand.model_validate_json(record.value or b"").run_id) == answered.body["run_id"]


async def test_runs_at_the_same_time_each_get_their_own_end(
    serve: Serve, database_url: str, kafka_bootstrap_servers: str, connection: KafkaConnection, created_topics: QueryTopics
) -> None:
    reached = {"database_url": database_url, "servers": kafka_bootstrap_servers, "kafka_seconds": 30}
    async with (
        producer(connection, created_topics, "coingecko", succeeds),
        serve(**reached, taken_within_seconds=30) as api,
    ):
        answers = await asyncio.gather(*[api.post("/etl/run/coingecko") for _ in range(8)])
    assert {answered.status for answered in answers} == {200}
    assert len({answered.body["run_id"] for answered in answers}) == 8


@pytest.mark.parametrize("path", ["/etl/run/nosuch", "/etl/run-background/nosuch"])
async def test_an_unknown_source_is_404_that_names_the_known(api: Api, path: str) -> None:
    answered = await api.post(path)
    assert (answered.status, answered.code) == (404, "unknown_source")
    assert "coinpaprika" in answered.body["detail"]


@pytest.mark.parametrize("path", ["/etl/run/binance", "/etl/run-background/binance"])
async def test_a_source_that_does_not_run_here_is_409_at_once_and_says_how_it_would(api: Api, path: str) -> None:
    answered = await api.post(path)
    assert (answered.status, answered.code) == (409, "source_not_running")
    assert "EXTRA_SOURCES" in answered.body["detail"]


async def test_a_source_that_was_named_is_asked_like_any_other(
    serve: Serve, database_url: str, kafka_bootstrap_servers: str, connection: KafkaConnection, created_topics: QueryTopics
) -> None:
    async with (
        serve(database_url=database_url, servers=kafka_bootstrap_servers, sources=("csv", "binance")) as api,
        producer(connection, created_topics, "csv", succeeds),
        producer(connection, created_topics, "binance", succeeds),
    ):
        assert (await api.post("/etl/run/binance")).status == 200
        answered = await api.post("/etl/run-all")
        assert (answered.status, [one["source"] for one in answered.body["runs"]]) == (200, ["csv", "binance"])


async def test_a_timeout_out_of_range_is_400(api: Api) -> None:
    for timeout in ("-1", "601", "nan", "inf", "soon"):
        answered = await api.post(f"/etl/run/csv?timeout={timeout}")
        assert (answered.status, answered.body["parameter"]) == (400, "timeout")


async def test_without_kafka_a_run_is_503_with_when_to_retry(api: Api) -> None:
    for path in ("/etl/run/csv", "/etl/run-background/csv"):
        answered = await api.post(path)
        assert (answered.status, answered.code) == (503, "kafka_unavailable"), path
        assert int(answered.headers["Retry-After"]) > 0


async def test_stopping_answers_waiting_requests_with_what_is_known(
    serve: Serve, kafka_bootstrap_servers: str, created_topics: QueryTopics, connection: KafkaConnection
) -> None:
    async with (
        producer(connection, created_topics, "csv", goes_on) as taken,
        producer(connection, created_topics, "coingecko", goes_on) as taken_by_all,
        serve(servers=kafka_bootstrap_servers) as api,
    ):
        waiting = [asyncio.create_task(api.post(path)) for path in ("/etl/run/csv?timeout=60", "/etl/run-all?timeout=600")]

        async def is_taken() -> bool:
            return bool(taken and taken_by_all)

        await until(is_taken)
        async with asyncio.timeout(5):
            await api.client.app.shutdown()
            answers = await asyncio.gather(*waiting)
    assert [answered.status for answered in answers] == [202, 202]


async def test_a_caller_that_goes_away_is_waited_for_no_longer(
    serve: Serve, kafka_bootstrap_servers: str, created_topics: QueryTopics, connection: KafkaConnection
) -> None:
    async with producer(connection, created_topics, "csv", goes_on) as taken, serve(servers=kafka_bootstrap_servers) as api:
        runs = api.client.app[RUNS]
        waiting = asyncio.create_task(api.post("/etl/run/csv?timeout=600"))

        async def is_taken() -> bool:
            return bool(taken)

        async def is_forgotten() -> bool:
            return not runs._watched

        await until(is_taken)
        assert runs._watched
        waiting.cancel()
        await until(is_forgotten)


async def test_post_needs_the_token_when_there_is_one(serve: Serve) -> None:
    async with serve(access=Access("s3cret", open_to_all=True)) as api:
        for headers in (
            {},
            {"Authorization": "Bearer wrong"},
            {"Authorization": "s3cret"},
            {"Authorization": "Bearer s3cre\u00fc"},
        ):
            answered = await api.post("/etl/run-background/csv", headers=headers)
            assert (answered.status, answered.code) == (401, "unauthorized")
            assert answered.headers["WWW-Authenticate"].startswith("Bearer")
        shown = await api.post("/etl/run-background/csv", headers={"Authorization": "Bearer s3cret"})
        assert shown.status == 503


async def test_post_is_refused_beyond_this_machine_without_a_token(serve: Serve) -> None:
    async with serve(access=Access(None, open_to_all=False)) as api:
        answered = await api.post("/etl/run-background/csv")
    assert (answered.status, answered.code) == (403, "forbidden")
    assert "API_TOKEN" in answered.body["detail"]
    assert "API_OPEN=true" in answered.body["detail"]


async def test_a_page_of_another_site_cannot_post(api: Api) -> None:
    answered = await api.post("/etl/run-background/csv", headers={"Sec-Fetch-Site": "cross-site"})
    assert answered.status == 403


async def test_an_unreadable_event_stops_nobody(whole_api: Api, connection: KafkaConnection, created_topics: QueryTopics) -> None:
    async with open_publisher(connection) as publisher:
        await publisher.publish([Record(created_topics.run_events, str(uuid4()).encode(), b"{nonsense")])
    async with producer(connection, created_topics, "csv", is_skipped):
        assert (await whole_api.post("/etl/run/csv")).status == 200
