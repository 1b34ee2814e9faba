"""Spans reach a collector when one is named, tell one story of a run, and cost nothing when none is."""

import asyncio
import os
import socket
import sys
import time
from pathlib import Path
from uuid import UUID

import aiohttp
import pytest
from opentelemetry.proto.trace.v1.trace_pb2 import Span, Status

from libs.contracts.trace_context import TraceContext, context_of_run
from libs.devstack.ports import LOOPBACK, free_port
from libs.telemetry.tracing import opened_tracer
from tests.conftest import ROOT
from tests.integration.producing.bench import coins, rows
from tests.integration.producing.provider_server import answer, open_provider
from tests.integration.streaming.conftest import eventually
from tests.integration.telemetry.collector import Collector, collecting
from tests.integration.telemetry.pipeline import SOURCE, pipeline_running

DEADLINE_SECONDS = 60
HALF_A_MINUTE = 30
RUN = UUID("4bf92f35-77b3-4da6-a3ce-929d0e0e4736")


async def test_a_run_is_one_trace_and_the_chunks_of_it_link_to_it(kafka_bootstrap_servers: str, database_url: str) -> None:
    async with collecting() as collector, open_provider() as server:
        server.respond["/coins/markets"] = answer(rows(*coins([1, 2, 3])))
        async with (
            opened_tracer("test", "1", collector.url) as tracer,
            pipeline_running(kafka_bootstrap_servers, database_url, server, tracer=tracer) as pipeline,
            pipeline.api.post(f"/etl/run/{SOURCE}?timeout=100") as response,
        ):
            body = await response.json()
            assert response.status == 200, body
        # Leaving the tracer has sent the rest.
        await eventually(lambda: told_everything(collector), "everything is told", DEADLINE_SECONDS)
    own = context_of_run(UUID(body["run_id"]))
    (post,) = collector.named("POST /etl/run/{source}")
    assert (post.trace_id.hex(), post.span_id.hex(), post.parent_span_id) == (*own[:2], b"")
    (plan,), (poll,), (fetch,), (transaction,) = (collector.named(name) for name in ("plan", "poll", "fetch", "transaction"))
    assert [plan.parent_span_id, poll.parent_span_id] == [post.span_id, plan.span_id]
    assert {fetch.parent_span_id, transaction.parent_span_id} == {poll.span_id}
    assert {span.trace_id for span in (plan, poll, fetch, transaction)} == {post.trace_id}
    assert all(took(span) for _, span in collector.spans)
    assert post.end_time_unix_nano >= max(chunk.end_time_unix_nano for chunk in collector.named("chunk"))
    for chunk in collector.named("chunk"):
        assert chunk.trace_id != post.trace_id
        assert [(link.trace_id, link.span_id) for link in chunk.links] == [(post.trace_id, poll.span_id)]
        stages = {span.name for _, span in collector.spans if span.parent_span_id == chunk.span_id}
        assert stages == {"read", "store", "publish"}


async def told_everything(collector: Collector) -> bool:
    stored = sum(of(chunk, "kasparro.stored") for chunk in collector.named("chunk"))
    return stored == 3 and bool(collector.named("POST /etl/run/{source}"))


def of(span: Span, name: str) -> int:
    return next(int(one.value.int_value) for one in span.attributes if one.key == name)


def took(span: Span) -> bool:
    return 0 <= span.end_time_unix_nano - span.start_time_unix_nano < DEADLINE_SECONDS * 10**10


async def test_ids_parents_links_and_errors_are_as_they_were_given() -> None:
    own, callers, other = context_of_run(RUN), TraceContext("c" * 32, "d" * 16), TraceContext("e" * 32, "f" * 16)
    async with collecting() as collector:
        async with opened_tracer("test", "1", collector.url + "/") as tracer:
            with tracer.span("first", own=own) as first:
                assert first == own
                with tracer.span("inner", parent=first) as inner:
                    assert (inner.trace_id, inner.span_id != own.span_id) == (own.trace_id, True)
                with tracer.span("unasked") as alone:
                    assert alone.trace_id != own.trace_id
            with pytest.raises(ValueError, match="it broke"), tracer.span("broken", parent=callers):
                raise ValueError("it broke")
            with tracer.span("not sampled", parent=callers._replace(flags=0)) as unsampled:
                assert (unsampled.trace_id, unsampled.flags) == (callers.trace_id, 0)
            recorded = tracer.record("over", seconds=(1_000.0, 1_002.5), links=[callers, other])
        spans = {span.name: span for _, span in collector.spans}
    assert spans.keys() == {"first", "inner", "unasked", "broken", "over"}
    assert spans["first"].parent_span_id == b""
    assert spans["inner"].parent_span_id.hex() == own.span_id
    assert (spans["broken"].trace_id.hex(), spans["broken"].parent_span_id.hex()) == callers[:2]
    assert spans["broken"].status.code == Status.STATUS_CODE_ERROR
    assert (spans["over"].trace_id.hex(), spans["over"].span_id.hex()) == recorded[:2]
    assert [link.trace_id.hex() for link in spans["over"].links] == [callers.trace_id, other.trace_id]
    assert spans["over"].end_time_unix_nano - spans["over"].start_time_unix_nano == 2_500_000_000


@pytest.mark.parametrize("silent", [False, True], ids=["refused", "silent"])
async def test_a_collector_that_is_away_keeps_nobody_waiting(*, silent: bool) -> None:
    """OpenTelemetry's own end would try for half a minute."""
    with socket.socket() as nobody:
        nobody.bind((LOOPBACK, 0))
        if silent:
            nobody.listen()
        async with opened_tracer("test", "1", f"http://{LOOPBACK}:{nobody.getsockname()[1]}") as tracer:
            began = time.monotonic()
            for _ in range(3_000):
                with tracer.span("lost"):
                    pass
            made = time.monotonic()
    assert made - began < HALF_A_MINUTE / 3
    assert time.monotonic() - made < HALF_A_MINUTE / 2


@pytest.mark.parametrize("service", ["producers.csv", "normalizer", "query"])
@pytest.mark.parametrize("named", [False, True], ids=["no endpoint", "an endpoint"])
async def test_nothing_of_opentelemetry_is_imported_without_an_endpoint(service: str, *, named: bool, tmp_path: Path) -> None:
    """Python itself tells what a process imports, until it serves and is stopped."""
    port = free_port()
    environment = {
        "PATH": os.environ["PATH"],
        "KAFKA_BOOTSTRAP_SERVERS": f"{LOOPBACK}:1",
        "DATABASE_URL": f"postgresql://u:p@{LOOPBACK}:1/d",
        "CSV_PATH": str(tmp_path / "none.csv"),
        **dict.fromkeys(["PORT", "PRODUCER_HEALTH_PORT", "NORMALIZER_HEALTH_PORT"], str(port)),
        **({"OTEL_EXPORTER_OTLP_ENDPOINT": f"http://{LOOPBACK}:1"} if named else {}),
    }
    imports = tmp_path / "imports"
    with imports.open("wb") as written:
        process = await asyncio.create_subprocess_exec(
            *(sys.executable, "-X", "importtime", "-m", f"services.{service}"), cwd=ROOT, env=environment, stderr=written
        )
    try:
        await eventually(lambda: serves(port), "it serves", DEADLINE_SECONDS)
    finally:
        process.terminate()
        async with asyncio.timeout(DEADLINE_SECONDS):
            await process.wait()
    imported = [line.split("|")[-1].strip() for line in imports.read_text().splitlines() if line.startswith("import time:")]
    assert "prometheus_client" in imported
    assert any(name.startswith("opentelemetry") for name in imported) == named


async def serves(port: int) -> bool:
    try:
        async with aiohttp.ClientSession() as session, session.get(f"http://{LOOPBACK}:{port}/metrics") as answered:
            return answered.status == 200
    except aiohttp.ClientConnectionError:
        return False
