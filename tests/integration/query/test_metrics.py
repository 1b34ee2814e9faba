"""GET /metrics of the API: while something is away it says so at once, with what is known of the rest."""

import time
from typing import Any
from urllib.parse import urlsplit

import psycopg
from psycopg import sql

from tests.exposition import Exposition
from tests.integration.query.answers import Api, until
from tests.integration.query.conftest import Serve
from tests.integration.query.rows import insert_run

AT_ONCE_SECONDS = 1.0
"""A question to what is away would take its timeout: 1.5 s and more."""


async def scraped(api: Api) -> Exposition:
    began = time.monotonic()
    answered = await api.get("/metrics")
    assert time.monotonic() - began < AT_ONCE_SECONDS
    assert answered.status == 200
    return Exposition(answered.text)


async def test_while_everything_is_away_a_scrape_says_so_at_once(serve: Serve) -> None:
    async with serve() as api:
        await api.get("/health")  # returns once both have been looked at
        told = await scraped(api)
        assert [value for _, value in told.all_of("kasparro_dependency_up")] == [0, 0]
        assert told.value("kasparro_outage_seconds", dependency="postgres") is not None
        assert told.all_of("kasparro_consumer_lag_messages") == []
        assert told.all_of("kasparro_dead_letters_unsettled") == []
        assert (await api.get("/data")).status == 503
        told = await scraped(api)
        assert told.value("kasparro_http_requests_total", method="GET", route="/data", status="503") == 1


KNOWN_ELSEWHERE = ("kasparro_source_last_success_timestamp_seconds", "kasparro_dead_letters_unsettled")
"""What this process does not count itself."""


async def test_what_was_known_is_told_on_when_postgres_goes(api: Api, database: Any, database_url: str) -> None:
    await insert_run(database, "csv", "succeeded")

    async def known() -> bool:
        told = await scraped(api)
        up = told.value("kasparro_dependency_up", dependency="postgres") == 1
        return up and all(map(told.all_of, KNOWN_ELSEWHERE))

    async def noticed() -> bool:
        return (await scraped(api)).value("kasparro_dependency_up", dependency="postgres") == 0

    await until(known)
    before = await scraped(api)
    take_away(database_url)
    await until(noticed)
    told = await scraped(api)
    for name in KNOWN_ELSEWHERE:
        assert told.all_of(name) == before.all_of(name) != []


async def test_a_caller_can_make_no_label_of_its_own(api: Api) -> None:
    for path in ("/data/one", "/data/other", "/no/such/1", "/no/such/2", "/stats/runs/not-an-id"):
        await api.get(path)
    async with api.client.session.request("PROPFIND", api.client.make_url("/data")) as response:
        assert response.status == 405
    told = await scraped(api)
    routes = {labels["route"] for labels, _ in told.all_of("kasparro_http_requests_total")}
    assert routes == {"/data/{asset_uid}", "/stats/runs/{run_id}", "other"}
    assert {labels["method"] for labels, _ in told.all_of("kasparro_http_requests_total")} == {"GET", "other"}
    assert told.value("kasparro_http_requests_total", method="GET", route="other", status="404") == 2


def take_away(database_url: str) -> None:
    parts = urlsplit(database_url)
    with psycopg.connect(parts._replace(path="/postgres").geturl(), autocommit=True) as connection:
        name = sql.Identifier(parts.path.removeprefix("/"))
        connection.execute(sql.SQL("DROP DATABASE {} WITH (FORCE)").format(name))
