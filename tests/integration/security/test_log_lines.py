"""The three services with secrets to lose and a row to refuse: what they log of a run, and what they never do."""

import asyncio
import json
import os
import sys
from asyncio.subprocess import Process
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from http import HTTPStatus
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit
from uuid import uuid4

import aiohttp
import pytest

from libs.contracts.topics import TOPICS
from libs.devstack.ports import LOOPBACK, free_port
from libs.kafka.admin import ensure_topics
from tests.integration.producing.provider_server import answer, in_turn, open_provider
from tests.integration.security.conftest import PASSWORD, Secured
from tests.integration.security.test_let_in import connection_of
from tests.integration.streaming.conftest import eventually
from tests.recorded import FIXTURES, ROOT

SECRETS = {
    "CGEKO_KEY": "CG-hush-of-the-test",
    "API_TOKEN": "token-of-the-test",
    "SLACK_WEBHOOK_URL": "https://hooks.example.org/services/T000/B000/webhook-of-the-test",
}
OF_A_ROW = ("-731973.25", "large/bitcoin.png", "Bitcoin", "ath_date")
SERVICES = ("services.producers.coingecko", "services.normalizer", "services.query")
DEADLINE_SECONDS = 100.0

Lines = Mapping[str, list[dict[str, Any]]]


def answer_with_a_bad_row() -> str:
    """Rows that nobody has published: the broker is every test's, and these topics are the services' own."""
    recorded = json.loads((FIXTURES / "coingecko_markets.json").read_text())
    rows = [row | {"of": uuid4().hex} for row in recorded]
    return json.dumps([*rows, rows[0] | {"id": "spoilt", "symbol": "spoilt", "current_price": -731973.25}])


@asynccontextmanager
async def running(environment: Mapping[str, str], folder: Path) -> AsyncIterator[None]:
    """Run the services, and stop them as an orchestrator would."""
    started: list[Process] = []
    try:
        for service in SERVICES:
            with (folder / f"{service}.log").open("wb") as log:
                started.append(
                    await asyncio.create_subprocess_exec(
                        sys.executable, "-m", service, cwd=ROOT, env={"PATH": os.environ["PATH"], **environment}, stderr=log
                    )
                )
        yield
        for one in started:
            one.terminate()
        async with asyncio.timeout(DEADLINE_SECONDS):
            assert [await one.wait() for one in started] == [0, 0, 0]
    finally:
        for one in started:
            if one.returncode is None:
                one.kill()
                await one.wait()


async def run_until_it_succeeds(api: str) -> tuple[str, str, list[int]]:
    """Ask until a run succeeds; return its id, its request's, and how each was answered."""
    statuses: list[int] = []
    token = {"Authorization": f"Bearer {SECRETS['API_TOKEN']}"}
    async with asyncio.timeout(DEADLINE_SECONDS), aiohttp.ClientSession(headers=token) as session:
        while True:
            try:
                async with session.post(f"{api}/etl/run/coingecko?timeout=60") as answered:
                    statuses.append(answered.status)
                    if answered.status == HTTPStatus.OK:
                        return (await answered.json())["run_id"], answered.headers["X-Request-Id"], statuses
            except aiohttp.ClientConnectionError:  # it starts still
                await asyncio.sleep(0.1)


def by_service(folder: Path) -> Lines:
    """Every line of each, which is JSON, and a whole one."""
    found = {service: [json.loads(line) for line in (folder / f"{service}.log").read_text().splitlines()] for service in SERVICES}
    for lines in found.values():
        assert lines
        assert all({"event", "level", "logger", "service", "timestamp"} <= line.keys() for line in lines)
    return found


@pytest.mark.timeout(240)
@pytest.mark.parametrize("level", ["INFO", "DEBUG"])
async def test_a_run_can_be_followed_and_no_secret_and_no_row_is_told(
    secured: Secured, database_url: str, tmp_path: Path, level: str
) -> None:
    port = free_port()
    secrets = [*SECRETS.values(), PASSWORD, str(urlsplit(database_url).password), "webhook-of-the-test"]
    kafka = secured.environment("scram-tls")
    await ensure_topics(connection_of(kafka), TOPICS)
    async with open_provider() as provider:
        refusal = json.dumps({"status": {"error_code": 10002, "error_message": f"the key {SECRETS['CGEKO_KEY']} is not valid"}})
        good = answer(answer_with_a_bad_row())
        provider.respond["/coins/markets"] = in_turn(answer(refusal, status=401), good)
        environment = {
            **kafka,
            **SECRETS,
            "DATABASE_URL": database_url,
            "COINGECKO_BASE_URL": provider.base_url,
            "ETL_ENABLED": "false",
            "LOG_LEVEL": level,
            "LOG_FORMAT": "json",
            "PORT": str(port),
            "NORMALIZER_HEALTH_PORT": "0",
        }
        async with running(environment, tmp_path):
            run_id, request_id, statuses = await run_until_it_succeeds(f"http://{LOOPBACK}:{port}")
            # The end is told over HTTP as soon as Kafka has it, and logged a moment later.
            log = tmp_path / "services.normalizer.log"
            await eventually(
                lambda: any("run_ended" in line and run_id in line for line in log.read_text().splitlines()),
                "a line of the end",
                DEADLINE_SECONDS,
            )
    assert HTTPStatus.BAD_GATEWAY in statuses

    text = "".join((tmp_path / f"{service}.log").read_text() for service in SERVICES)
    assert [secret for secret in secrets if secret in text] == []
    assert [word for word in OF_A_ROW if word in text] == ([] if level == "INFO" else ["-731973.25"])

    lines = by_service(tmp_path)
    failed = next(line for line in lines["services.producers.coingecko"] if line["event"] == "shard_failed")
    assert "the key … is not valid" in failed["error"]
    told = {service: [line for line in found if line.get("run_id") == run_id] for service, found in lines.items()}
    events = {service: {line["event"] for line in found} for service, found in told.items()}
    assert events["services.producers.coingecko"] >= {"run_planned", "shard_published"}
    assert events["services.normalizer"] >= {"records_dead_lettered", "chunk_stored", "run_ended"}
    assert all(line["source"] == "coingecko" for found in told.values() for line in found)
    assert all({"topic", "partition", "offset"} <= line.keys() for line in told["services.producers.coingecko"])
    stored = [line for line in told["services.normalizer"] if line["event"] in {"chunk_stored", "records_dead_lettered"}]
    assert all("places" in line or {"partition", "first_offset", "last_offset"} <= line.keys() for line in stored)
    (asked,) = [line for line in told["services.query"] if line["event"] == "run_requested"]
    assert asked["request_id"] == request_id
