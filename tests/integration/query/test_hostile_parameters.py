"""SQL, and whatever else is no answer to the question, in every parameter of every operation that the document names."""

import re
from collections.abc import Iterator
from typing import Any
from urllib.parse import quote

import pytest

from libs.kafka.connection import KafkaConnection
from libs.kafka.tailing import read_to_end
from services.query.topics import QueryTopics
from tests.integration.query.answers import DOCUMENT, Api
from tests.integration.query.conftest import Serve
from tests.integration.query.rows import AssetRow, QuoteRow, insert_assets, insert_quotes, insert_raw_ticks, insert_run

INJECTIONS = (
    "'",
    '"',
    "\\'",
    "';--",
    "1; DROP TABLE assets; --",
    "'; DROP TABLE assets CASCADE; --",
    "btc'; DELETE FROM quotes; --",
    "' OR '1'='1",
    "1 OR 1=1",
    "' UNION SELECT rolname, rolpassword FROM pg_authid --",
    "btc' AND 1=CAST((SELECT version()) AS integer) --",
    "'; SELECT pg_sleep(60); --",
    "1) OR pg_sleep(60) IS NULL --",
    "'||(SELECT current_setting('data_directory'))||'",
    "$1",
    "$$; TRUNCATE etl_runs; $$",
    "%s%n{0}{limit}",
    "rank; DROP TABLE assets",
    "rank, (SELECT 1/0)",
    "*/ DROP TABLE gaps /*",
    "COPY assets TO PROGRAM 'touch /tmp/owned'",
    "\\x27 OR 1=1",
    "E'\\\\000'",
    "CHAR(39)",
)
ODDITIES = (
    "\0",
    "btc\0",
    "a\r\nSet-Cookie: b=1",
    "\u202ectb\u202c",
    "\u200f\u2066btc\u2069",
    "\ufeffbtc",
    "\ufffe\uffff",
    "\U0010ffff",
    "e\u0301" * 40,
    "\u0665\u0660",
    "😀" * 200,
    "9" * 19,
    "-" + "9" * 30,
    "9" * 400,
    "1e308",
    "1e999",
    "NaN",
    "-Infinity",
    "0x10",
    "null",
    "[]",
    "{}",
    "",
    " ",
    "../../etc/passwd",
    "a/b/c",
    "9999-12-31T23:59:59.999999-23:59",
    "0000-00-00T00:00:00Z",
    "ffffffff-ffff-ffff-ffff-ffffffffffff",
    "WyJyYW5rOiIsIjk5OTk5OTk5OTk5OTk5OTk5OTk5IiwiYSJd",
    "W1tbW1tbW1tbW1tbW1tbW1tbW1tbW1tbW1tb",
    "a" * 7_000,
)
NO_TEXT = ("%ED%A0%80", "%ED%B0%80btc", "%C0%A7", "%FF%FE", "%F4%90%80%80", "%", "%zz", "btc%00")
"""As sent: lone surrogates, an overlong quote, what is no UTF-8, what is no escape."""
ESCAPED = (*(quote(one, safe="") for one in (*INJECTIONS, *ODDITIES)), *NO_TEXT)
GOOD = {"source": "csv", "record_id": "1", "asset_uid": "btc", "run_id": "00000000-0000-4000-8000-000000000000"}
"""What the other parameters of a path are meanwhile."""

NO_LINES = tuple(one for one in (*INJECTIONS, *ODDITIES) if one.isprintable() and one.isascii() and one.strip() == one)
"""What a header can hold; the rest is no HTTP."""

TABLES = "SELECT tablename FROM pg_tables WHERE schemaname = 'public' ORDER BY tablename"
SCHEMA = """
    SELECT 'column', table_name, column_name, data_type, is_nullable FROM information_schema.columns WHERE table_schema = 'public'
    UNION ALL SELECT 'index', tablename, indexname, indexdef, '' FROM pg_indexes WHERE schemaname = 'public'
    UNION ALL SELECT 'role', rolname, rolsuper::text, '', '' FROM pg_roles
    UNION ALL SELECT 'function', proname, '', '', '' FROM pg_proc WHERE pronamespace = 'public'::regnamespace
    ORDER BY 1, 2, 3, 4"""


Held = tuple[dict[str, list[str]], list[Any]]


async def everything_in(database: Any) -> Held:
    """Every row of every table, and what the tables are."""
    names = [row["tablename"] for row in await database.fetch(TABLES)]
    whole = "SELECT array_agg(held::text ORDER BY held::text) FROM {} AS held"
    rows = {name: await database.fetchval(whole.format(name)) for name in names}
    return rows, await database.fetch(SCHEMA)


def parameters() -> Iterator[tuple[str, str, dict[str, Any], list[dict[str, Any]]]]:
    """Yield the method, the path, one parameter and all parameters of the operation."""
    for path, operations in DOCUMENT["paths"].items():
        for method, operation in operations.items():
            for parameter in operation["parameters"]:
                yield method.upper(), path, parameter, operation["parameters"]


def path_with(path: str, declared: list[dict[str, Any]], hostile: tuple[str, str] | None) -> str:
    """Fill the placeholders in, one of them with what is hostile."""
    for one in declared:
        if one["in"] == "path":
            name = one["name"]
            path = path.replace(f"{{{name}}}", hostile[1] if hostile and hostile[0] == name else GOOD[name])
    return path


@pytest.fixture
async def rows(database: Any) -> Held:
    """Some rows to lose; returns what the database holds with them."""
    await insert_assets(database, [AssetRow("btc", 1), AssetRow("eth")])
    await insert_quotes(database, [QuoteRow("coingecko", "bitcoin", "btc")])
    await insert_raw_ticks(database, "csv", ["{}"] * 3)
    await insert_run(database, "csv", "succeeded")
    return await everything_in(database)


async def test_nothing_in_a_parameter_is_5xx_or_touches_a_table_or_asks_for_a_run(
    serve: Serve,
    rows: Held,
    database: Any,
    database_url: str,
    kafka_bootstrap_servers: str,
    connection: KafkaConnection,
    created_topics: QueryTopics,
) -> None:
    asked, statuses = 0, set[int]()
    reached = {"database_url": database_url, "servers": kafka_bootstrap_servers, "kafka_seconds": 30}
    async with serve(**reached, taken_within_seconds=0.01) as api:
        for method, path, parameter, declared in parameters():
            name = parameter["name"]
            if parameter["in"] == "header":
                answers = [await api.ask(method, path_with(path, declared, None), headers={name: one}) for one in NO_LINES]
            elif parameter["in"] == "path":
                filled = [path_with(path, declared, (name, one)) for one in ESCAPED if one]
                answers = [await api.ask(method, one, encoded=True) for one in filled]
            else:
                filled = [f"{path_with(path, declared, None)}?{name}={one}" for one in ESCAPED]
                answers = [await api.ask(method, one, encoded=True) for one in filled]
            asked += len(answers)
            statuses |= {one.status for one in answers}
            assert not [one.text for one in answers if one.status >= 500], (method, path, name)
            assert not [one.text for one in answers if "Set-Cookie" in one.headers], (method, path, name)
        assert (await api.get("/data/btc")).status == 200
    assert statuses <= {200, 400, 404, 426}
    assert asked > 1_000
    assert await everything_in(database) == rows
    for topic in created_topics.commands.values():
        assert await read_to_end(connection, topic) == []


async def test_names_and_ids_of_requests_may_be_anything(api: Api, rows: Held, database: Any) -> None:
    for one in ESCAPED:
        answered = await api.ask("GET", f"/data?{one}=1", encoded=True)
        assert answered.status in {200, 400}, one
    for one in NO_LINES:
        answered = await api.get("/data/btc", headers={"X-Request-Id": one, "Authorization": one, "Cookie": one})
        assert answered.status == 200
        assert re.fullmatch(r"[\w.-]{1,64}", answered.headers["X-Request-Id"], re.ASCII)
    assert await everything_in(database) == rows
