"""What the API says while something is away, and when it is itself broken."""

from collections.abc import AsyncIterator
from typing import Any

from tests.integration.query.answers import Api, until, until_ready
from tests.integration.query.conftest import NOBODY_LISTENS, Serve
from tests.integration.query.rows import AssetRow, insert_assets, insert_run

READS_POSTGRES = ("/data", "/data/count", "/data/btc", "/data/raw/csv", "/data/raw/csv/1", "/stats", "/stats/sources")


async def test_health_is_200_and_degraded_while_everything_is_away(serve: Serve) -> None:
    async with serve(sandbox=True) as api:
        first = await api.get("/health")
        again = (await api.get("/health")).body
    body = first.body
    assert (first.status, body["status"], body["sandbox"]) == (200, "degraded", True)
    assert (body["dependencies"]["postgres"]["status"], body["dependencies"]["kafka"]["status"]) == ("down", "down")
    assert body["dependencies"]["postgres"]["error"]
    assert again["dependencies"]["postgres"]["since"] == body["dependencies"]["postgres"]["since"]
    assert again["uptime_seconds"] >= body["uptime_seconds"]
    assert set(body["last_success"]) == {"coingecko", "coinpaprika", "csv"}


async def test_health_is_ok_with_everything_there(whole_api: Api, database: Any) -> None:
    body = (await whole_api.get("/health")).body
    assert (body["status"], body["dependencies"]["kafka"]["error"]) == ("ok", None)
    await insert_run(database, "coingecko", "succeeded")

    async def is_told() -> bool:
        told = (await whole_api.get("/health")).body["last_success"]
        assert told["csv"] is None
        return told["coingecko"] is not None

    await until(is_told)


async def test_what_is_away_is_told_in_words(serve: Serve) -> None:
    async with serve() as api:
        seen = (await api.get("/health")).body["dependencies"]
        posted = (await api.post("/etl/run-background/csv")).body["detail"]
    assert seen["postgres"]["error"] == "connection failed: Connection refused"
    assert seen["kafka"]["error"] == f"no broker answers at {NOBODY_LISTENS}"
    assert posted == f"Kafka does not answer: no broker answers at {NOBODY_LISTENS}"


async def test_health_is_200_whatever_a_probe_adds(api: Api) -> None:
    await until_ready(api)
    for path in ("/health?x=1", "/health?x=1&x=2", "/ready?x=1"):
        assert (await api.get(path)).status == 200, path


async def test_without_postgres_every_reader_is_503_with_when_to_retry(serve: Serve) -> None:
    async with serve() as api:
        for path in (*READS_POSTGRES, "/ready"):
            answered = await api.get(path)
            assert (answered.status, answered.code) == (503, "postgres_unavailable"), path
            assert int(answered.headers["Retry-After"]) > 0


async def test_an_unmigrated_database_is_503_and_not_ready(serve: Serve, empty_database_url: str) -> None:
    async with serve(database_url=empty_database_url) as api:
        ready = await api.get("/ready")
        assert (ready.status, ready.code) == (503, "not_migrated")
        assert "0001.create-raw-coingecko" in ready.body["missing"]
        for path in READS_POSTGRES:
            assert (await api.get(path)).code == "not_migrated", path
        health = await api.get("/health")
    seen = health.body["dependencies"]["postgres"]
    assert (health.status, health.body["status"], seen["status"]) == (200, "degraded", "up")
    assert "kasparro migrate" in seen["error"]


async def test_a_migrated_database_is_ready(api: Api) -> None:
    await until_ready(api)
    assert (await api.get("/ready")).body == {"status": "ready"}


async def test_a_cut_connection_is_an_outage_and_then_over(api: Api, database: Any) -> None:
    await insert_assets(database, [AssetRow("btc")])
    assert (await api.get("/data/btc")).status == 200
    await database.execute("SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE application_name = 'query-test'")

    async def answers() -> bool:
        answered = await api.get("/data/btc")
        assert answered.status in {200, 503}
        return answered.status == 200

    await until(answers)


async def test_a_statement_that_takes_too_long_is_503(api: Api, database: Any, database_url: str) -> None:
    name = await database.fetchval("SELECT current_database()")
    await database.execute(f'ALTER DATABASE "{name}" SET lock_timeout = 200')
    transaction = database.transaction()
    await transaction.start()
    await database.execute("LOCK TABLE assets IN ACCESS EXCLUSIVE MODE")
    answered = await api.get("/data/btc")
    await transaction.rollback()
    assert (answered.status, answered.code) == (503, "postgres_unavailable")


async def test_a_bug_is_500_without_a_trace_of_the_code(api: Api, database: Any) -> None:
    await insert_assets(database, [AssetRow("btc")])
    await database.execute("ALTER TABLE assets ALTER agreeing DROP NOT NULL")
    await database.execute("UPDATE assets SET agreeing = NULL")
    answered = await api.get("/data/btc", headers={"X-Request-Id": "mine-1"})
    assert (answered.status, answered.code, answered.body["request_id"]) == (500, "internal_error", "mine-1")
    assert "Traceback" not in answered.text
    assert ".py" not in answered.text


async def test_unknown_paths_methods_and_large_bodies_are_problems_too(api: Api) -> None:
    missing = await api.get("/nosuch")
    assert (missing.status, missing.code) == (404, "not_found")
    method = await api.ask("DELETE", "/data")
    assert (method.status, method.code) == (405, "method_not_allowed")
    assert "GET" in method.headers["Allow"]
    large = await api.post("/etl/run/csv", data=b"x" * 100_000)
    assert (large.status, large.code) == (413, "request_entity_too_large")
    for answered in (missing, method, large):
        assert answered.headers["Content-Type"] == "application/problem+json"
        assert answered.body["request_id"] == answered.headers["X-Request-Id"]


async def test_a_large_body_in_chunks_is_refused_and_a_small_one_is_not(api: Api) -> None:
    async def chunks(size: int) -> AsyncIterator[bytes]:
        for _ in range(0, size, 1_000):
            yield b"x" * 1_000

    large = await api.post("/etl/run-background/csv", data=chunks(100_000))
    assert (large.status, large.code) == (413, "request_entity_too_large")
    small = await api.post("/etl/run-background/csv", data=chunks(2_000))
    assert (small.status, small.code) == (503, "kafka_unavailable")


async def test_a_request_id_that_is_not_one_is_replaced(api: Api) -> None:
    assert (await api.get("/health", headers={"X-Request-Id": "a b\tc"})).headers["X-Request-Id"] != "a b\tc"
