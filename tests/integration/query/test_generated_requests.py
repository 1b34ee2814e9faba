"""Requests that schemathesis makes from the document that the API serves: what fits it, what is at its bounds, what does not.

The same requests each time: a change of the API, and not of the dice, is what makes this fail.
"""

import asyncio
import re
import sys
from pathlib import Path
from typing import Any

from libs.kafka.connection import KafkaConnection
from libs.kafka.tailing import read_to_end
from libs.sources.catalogue import OPTIONAL, running
from services.query.api import ENDPOINTS
from services.query.topics import QueryTopics
from tests.integration.query.conftest import Serve
from tests.integration.query.rows import AssetRow, QuoteRow, insert_assets, insert_quotes, insert_raw_ticks, insert_run

SETTINGS = Path(__file__).with_name("schemathesis.toml")
DEADLINE_SECONDS = 280.0
NOBODY_COMES_SECONDS = 0.01
"""So long a POST waits for a producer here; there is none."""
MOST_RUNS = 200
WITHOUT_END = ("stream_assets", "follow_assets")
"""Operations whose answers do not end; test_stream.py, test_socket.py and test_hostile_parameters.py ask these."""


async def test_no_request_made_from_the_document_is_5xx_or_answered_otherwise_than_declared(
    serve: Serve,
    database: Any,
    database_url: str,
    kafka_bootstrap_servers: str,
    connection: KafkaConnection,
    created_topics: QueryTopics,
    tmp_path: Path,
) -> None:
    await insert_assets(database, [AssetRow("btc", 1), AssetRow("eth")])
    await insert_quotes(database, [QuoteRow("coingecko", "bitcoin", "btc")])
    await insert_raw_ticks(database, "csv", ["{}"] * 3)
    await insert_run(database, "csv", "succeeded")
    reached = {"database_url": database_url, "servers": kafka_bootstrap_servers, "kafka_seconds": 30}
    async with serve(**reached, taken_within_seconds=NOBODY_COMES_SECONDS) as api:
        url = str(api.client.make_url("/openapi.json"))
        code, told = await schemathesis("run", url, in_folder=tmp_path)
    assert code == 0, told
    tested = len(ENDPOINTS) - len(WITHOUT_END)
    assert f"Tested: {tested}" in told
    (generated,) = re.findall(r"(\d+) generated", told)
    assert int(generated) > 20 * tested
    asked_for = {source: len(await read_to_end(connection, topic)) for source, topic in created_topics.commands.items()}
    assert all(0 < asked_for[source] < MOST_RUNS for source in running(()))
    assert not any(asked_for[source] for source in OPTIONAL), "a command to a source that does not run would wait for nobody"


async def schemathesis(*words: str, in_folder: Path) -> tuple[int | None, str]:
    """Run it, as a person would, in a process of its own; return its exit code and what it said."""
    child = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "schemathesis.cli", "--config-file", str(SETTINGS), *words, "--no-color"),
        cwd=in_folder,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.STDOUT,
    )
    try:
        async with asyncio.timeout(DEADLINE_SECONDS):
            said, _ = await child.communicate()
    finally:
        if child.returncode is None:
            child.kill()
            await child.communicate()
    return child.returncode, said.decode()
