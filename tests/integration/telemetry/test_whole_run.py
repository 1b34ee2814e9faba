"""A real run, as /metrics of each process and the headers of each topic tell of it."""

from collections.abc import AsyncIterator

import pytest

from libs.contracts.topics import ASSETS_NORMALIZED, SOURCE_TOPICS
from libs.contracts.trace_context import context_in, read_traceparent
from libs.kafka.tailing import TopicRecord
from libs.telemetry.declaring import Service
from libs.telemetry.metrics import CATALOGUE
from tests.exposition import Exposition
from tests.integration.normalizer.conftest import read_all
from tests.integration.producing.bench import coins, rows
from tests.integration.producing.provider_server import ProviderServer, answer, open_provider
from tests.integration.streaming.conftest import eventually
from tests.integration.telemetry.pipeline import SOURCE, Names, Pipeline, pipeline_running

CALLERS = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01"
DEADLINE_SECONDS = 60


@pytest.fixture
async def server() -> AsyncIterator[ProviderServer]:
    async with open_provider() as server:
        nameless = {**coins([3])[0], "symbol": ""}
        server.respond["/coins/markets"] = answer(rows(*coins([1, 2]), nameless))
        yield server


async def test_what_a_run_did_is_told_by_every_process_and_its_trace_by_every_topic(
    kafka_bootstrap_servers: str, database_url: str, server: ProviderServer
) -> None:
    async with pipeline_running(kafka_bootstrap_servers, database_url, server) as pipeline:
        async with pipeline.api.post(f"/etl/run/{SOURCE}?timeout=100", headers={"traceparent": CALLERS}) as response:
            assert response.status == 200, await response.text()
            answered = read_traceparent(response.headers["traceresponse"])
        async with pipeline.api.get("/data/c1") as response:
            assert response.status == 200
            assert "traceresponse" not in response.headers
        async with pipeline.api.get("/no/such/path") as response:
            assert response.status == 404

        async def caught_up() -> bool:
            return all(value == 0 for value in lags(await pipeline.normalizer()) + lags(await pipeline.query()))

        await eventually(caught_up, "the lag is 0", DEADLINE_SECONDS)
        await eventually(lambda: told_by_query(pipeline), "the query service has seen the run", DEADLINE_SECONDS)
        check_producer(await pipeline.producer())
        check_normalizer(await pipeline.normalizer(), pipeline.names)
        check_query(await pipeline.query(), pipeline.names)
        ours = read_traceparent(CALLERS)
        assert ours is not None
        assert answered is not None
        assert answered.trace_id == ours.trace_id
        assert answered.span_id != ours.span_id
        for topic, enough in ((SOURCE_TOPICS[SOURCE].commands, 2), (SOURCE_TOPICS[SOURCE].raw, 2), (ASSETS_NORMALIZED, 2)):
            records = await in_topic(pipeline, pipeline.names.of(topic), enough)
            assert {one.trace_id for record in records if (one := context_in(record.headers))} == {ours.trace_id}, topic.name
            assert all(context_in(record.headers) for record in records)


async def test_a_run_that_nobody_traces_is_its_own_trace(
    kafka_bootstrap_servers: str, database_url: str, server: ProviderServer
) -> None:
    async with pipeline_running(kafka_bootstrap_servers, database_url, server) as pipeline:
        async with pipeline.api.post(f"/etl/run/{SOURCE}?timeout=100") as response:
            body = await response.json()
            assert response.status == 200, body
            answered = read_traceparent(response.headers["traceresponse"])
        assert answered is not None
        trace_id = body["run_id"].replace("-", "")
        assert answered.trace_id == trace_id
        assets = await in_topic(pipeline, pipeline.names.of(ASSETS_NORMALIZED), 2)
        assert {context.trace_id for record in assets if (context := context_in(record.headers))} == {trace_id}


async def in_topic(pipeline: Pipeline, topic: str, enough: int) -> list[TopicRecord]:
    return await read_all(pipeline.connection, topic, lambda found: len(found) >= enough)


def lags(told: Exposition) -> list[float]:
    names = ("kasparro_consumer_lag_messages", "kasparro_consumer_lag_seconds", "kasparro_consumer_wait_seconds")
    found = [[value for _, value in told.all_of(name)] for name in names]
    return [value for values in found for value in values] if found[0] else [float("nan")]


async def told_by_query(pipeline: Pipeline) -> bool:
    told = await pipeline.query()
    letters = told.value("kasparro_dead_letters_unsettled")
    return letters == 1 and told.value("kasparro_source_last_success_timestamp_seconds", source=SOURCE) is not None


def check_all(told: Exposition, service: Service, name: str, *, but: frozenset[str] = frozenset()) -> None:
    """Each declared metric is there, each label has a value of its set, and nothing else is told."""
    families = {sample.removesuffix("_bucket").removesuffix("_sum").removesuffix("_count") for sample, _ in told.samples}
    declared = {metric.name: metric for metric in CATALOGUE if service in metric.services}
    assert {one for one in families if one.startswith("kasparro_")} - declared.keys() == set()
    assert declared.keys() - families - but == set()
    for sample, labels in told.samples:
        metric = declared.get(sample)
        for label in metric.labels if metric is not None else ():
            if label.values and label.name != "topic":  # a test's topics are its own
                assert dict(labels)[label.name] in label.values, (sample, labels)
    assert told.all_of("kasparro_build_info")[0][0]["service"] == name


def check_producer(told: Exposition) -> None:
    nothing_scheduled = frozenset({"kasparro_source_interval_seconds"})
    check_all(told, Service.PRODUCER, "producer-coingecko", but=nothing_scheduled)
    assert told.value("kasparro_runs_total", source=SOURCE, trigger="manual", outcome="skipped") == 0
    assert told.value("kasparro_listings_total", source=SOURCE, outcome="published") == 2
    assert told.value("kasparro_listings_total", source=SOURCE, outcome="dead_lettered") == 1
    assert told.value("kasparro_dead_letters_total", source=SOURCE, reason="missing_symbol") == 1
    assert told.value("kasparro_dead_letters_total", source=SOURCE, reason="nul_character") == 0
    assert told.value("kasparro_shards_total", source=SOURCE, outcome="published") == 1
    assert told.value("kasparro_provider_requests_total", source=SOURCE, status="200") == 1
    assert told.value("kasparro_provider_request_seconds_count", source=SOURCE) == 1
    assert told.value("kasparro_poll_stage_seconds_count", source=SOURCE, stage="publish") == 1
    assert told.value("kasparro_provider_quota_remaining", source=SOURCE, window="month") == 999
    assert told.value("kasparro_health_status", status="ok") == 1
    assert told.value("kasparro_dependency_up", dependency="kafka") == 1


def check_normalizer(told: Exposition, names: Names) -> None:
    check_all(told, Service.NORMALIZER, "normalizer")
    assert told.value("kasparro_ticks_total", source=SOURCE, outcome="stored") == 2
    assert told.value("kasparro_ticks_total", source=SOURCE, outcome="duplicate") == 0
    assert told.value("kasparro_assets_published_total") == 2
    assert told.value("kasparro_runs_total", source=SOURCE, trigger="manual", outcome="succeeded") == 1
    assert told.value("kasparro_run_seconds_count", source=SOURCE) == 1
    assert told.value("kasparro_chunk_records_sum") == 2
    assert (told.value("kasparro_chunk_bytes_sum") or 0) > 200
    stages = {labels["stage"]: value for labels, value in told.all_of("kasparro_chunk_stage_seconds_count")}
    assert stages.keys() == {"read", "wait", "store", "publish"}
    assert min(stages.values()) >= 1
    raw = names.of(SOURCE_TOPICS[SOURCE].raw)
    assert len([1 for labels, _ in told.all_of("kasparro_consumer_lag_messages") if labels["topic"] == raw]) == 3
    assert told.value("kasparro_health_status", status="ok") == 1
    assert [value for _, value in told.all_of("kasparro_dependency_up")] == [1, 1]


def check_query(told: Exposition, names: Names) -> None:
    check_all(told, Service.QUERY, "query")
    assert told.value("kasparro_http_requests_total", method="POST", route="/etl/run/{source}", status="200") == 1
    assert told.value("kasparro_http_requests_total", method="GET", route="/data/{asset_uid}", status="200") == 1
    assert told.value("kasparro_http_requests_total", method="GET", route="other", status="404") == 1
    assert told.value("kasparro_http_request_seconds_count", route="other") == 1
    assert told.value("kasparro_dead_letters_unsettled") == 1
    assert [value for _, value in told.all_of("kasparro_dependency_up")] == [1, 1]
    raw = names.of(SOURCE_TOPICS[SOURCE].raw)
    assert len([1 for labels, _ in told.all_of("kasparro_consumer_lag_messages") if labels["topic"] == raw]) == 3
    assert told.value("kasparro_source_last_success_timestamp_seconds", source="csv") is None
