"""What an error of Postgres means, with errors that a real server raises."""

import asyncio
import random
from collections.abc import AsyncIterator
from urllib.parse import urlsplit
from uuid import UUID, uuid4

import asyncpg
import pytest
from asyncpg import PostgresError

from libs.postgres.errors import is_outage, is_refusal
from libs.postgres.pool import Pool, open_pool

LONG = random.Random(1).randbytes(10_000).hex()
DEEP = "[" * 100_000


@pytest.fixture
async def pool(database_url: str) -> AsyncIterator[Pool]:
    async with open_pool(database_url, application="test", connections=3, statement_seconds=20) as pool:
        await pool.execute("CREATE TABLE held (id integer PRIMARY KEY, small integer NOT NULL CHECK (small > 0))")
        await pool.execute("INSERT INTO held VALUES (1, 1), (2, 2)")
        yield pool


async def raised(pool: Pool, *statements: str) -> PostgresError:
    """Run the statements in one transaction; return what the server says to the last of them."""
    async with pool.acquire() as connection:
        for statement in ("BEGIN", *statements[:-1]):
            await connection.execute(statement)
        with pytest.raises(PostgresError) as caught:
            await connection.execute(statements[-1])
        return caught.value


@pytest.mark.parametrize(
    ("sqlstate", "statements"),
    [
        ("25006", ("SET TRANSACTION READ ONLY", "INSERT INTO held VALUES (3, 3)")),
        ("57014", ("SET LOCAL statement_timeout = '20ms'", "SELECT pg_sleep(5)")),
        (
            "53400",  # of the class of a full disk
            (
                "SET LOCAL temp_file_limit = '64kB'",
                "SET LOCAL work_mem = '64kB'",
                "SELECT count(*) FROM (SELECT n FROM generate_series(1, 200000) AS n ORDER BY random()) AS sorted",
            ),
        ),
    ],
)
async def test_what_waiting_can_help_is_an_outage(pool: Pool, sqlstate: str, statements: tuple[str, ...]) -> None:
    error = await raised(pool, *statements)
    assert (error.sqlstate, is_outage(error), is_refusal(error)) == (sqlstate, True, False)


async def test_a_lock_that_is_not_granted_in_time_is_an_outage(pool: Pool) -> None:
    async with pool.acquire() as other, other.transaction():
        await other.execute("LOCK TABLE held IN ACCESS EXCLUSIVE MODE")
        error = await raised(pool, "SET LOCAL lock_timeout = '20ms'", "SELECT * FROM held")
    assert (error.sqlstate, is_outage(error), is_refusal(error)) == ("55P03", True, False)


async def test_a_deadlock_is_an_outage(pool: Pool) -> None:
    async with pool.acquire() as one, pool.acquire() as two:
        first, second = one.transaction(), two.transaction()
        await first.start()
        await second.start()
        await one.execute("UPDATE held SET small = 5 WHERE id = 1")
        await two.execute("UPDATE held SET small = 5 WHERE id = 2")
        both = await asyncio.gather(
            one.execute("UPDATE held SET small = 6 WHERE id = 2"),
            two.execute("UPDATE held SET small = 6 WHERE id = 1"),
            return_exceptions=True,
        )
        (error,) = [each for each in both if isinstance(each, BaseException)]
        for transaction in (first, second):
            await transaction.rollback()
    assert isinstance(error, asyncpg.DeadlockDetectedError)
    assert (is_outage(error), is_refusal(error)) == (True, False)


async def test_a_serialization_failure_is_an_outage(pool: Pool) -> None:
    async with pool.acquire() as one:
        await one.execute("BEGIN ISOLATION LEVEL REPEATABLE READ")
        await one.fetch("SELECT * FROM held")
        await pool.execute("UPDATE held SET small = 7 WHERE id = 1")
        with pytest.raises(asyncpg.SerializationError) as caught:
            await one.execute("UPDATE held SET small = 8 WHERE id = 1")
    assert (is_outage(caught.value), is_refusal(caught.value)) == (True, False)


async def test_a_server_without_a_place_for_one_more_is_an_outage(pool: Pool, database_url: str) -> None:
    role, parts = f"limited_{uuid4().hex}", urlsplit(database_url)
    await pool.execute(f"CREATE ROLE {role} LOGIN PASSWORD 'x' CONNECTION LIMIT 0")
    with pytest.raises(asyncpg.TooManyConnectionsError) as caught:
        await asyncpg.connect(parts._replace(netloc=f"{role}:x@{parts.hostname}:{parts.port}").geturl(), timeout=10)
    await pool.execute(f"DROP ROLE {role}")
    assert (is_outage(caught.value), is_refusal(caught.value)) == (True, False)


@pytest.mark.parametrize(
    ("sqlstate", "statement"),
    [
        ("22003", "SELECT (2::numeric ^ 80)::bigint"),
        ("22P02", "SELECT 'no json'::jsonb"),
        ("22P05", """SELECT '"\\u0000"'::jsonb"""),
        ("22008", "SELECT '9999999-01-01'::timestamptz"),
        ("23502", "INSERT INTO held VALUES (3, NULL)"),
        ("23505", "INSERT INTO held VALUES (1, 1)"),
        ("23514", "INSERT INTO held VALUES (3, 0)"),
    ],
)
async def test_a_bad_value_is_a_refusal(pool: Pool, sqlstate: str, statement: str) -> None:
    error = await raised(pool, statement)
    assert (error.sqlstate, is_outage(error), is_refusal(error)) == (sqlstate, False, True)


async def test_a_nul_in_a_text_is_a_refusal(pool: Pool) -> None:
    with pytest.raises(PostgresError) as caught:
        await pool.fetchval("SELECT $1::text", "a\0b")
    assert (caught.value.sqlstate, is_outage(caught.value), is_refusal(caught.value)) == ("22021", False, True)


@pytest.mark.parametrize(
    ("sqlstate", "statement"),
    [
        ("42P01", "SELECT * FROM no_such_table"),
        ("42703", "SELECT no_such_column FROM held"),
        ("42601", "SELEKT 1"),
        ("42804", "INSERT INTO held VALUES (3, now())"),
    ],
)
async def test_what_neither_waiting_nor_another_value_helps_is_a_bug(pool: Pool, sqlstate: str, statement: str) -> None:
    error = await raised(pool, statement)
    assert (error.sqlstate, is_outage(error), is_refusal(error)) == (sqlstate, False, False)


@pytest.mark.parametrize(
    ("statement", "value"),
    [
        ("INSERT INTO etl_run_shards (run_id, shard, reported_at) VALUES ($2, $1, now())", LONG),
        ("SELECT $1::jsonb, $2::uuid", DEEP),
    ],
)
async def test_a_value_that_is_too_much_for_postgres_is_a_refusal(pool: Pool, statement: str, value: str) -> None:
    with pytest.raises(PostgresError) as caught:
        await pool.execute(statement, value, UUID(int=1))
    assert (caught.value.sqlstate or "").startswith("54")
    assert (is_outage(caught.value), is_refusal(caught.value)) == (False, True)
