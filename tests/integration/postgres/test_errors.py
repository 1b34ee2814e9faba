import random
from uuid import UUID

import pytest
from asyncpg import PostgresError

from libs.postgres.errors import is_outage, is_refusal
from libs.postgres.pool import open_pool

LONG = random.Random(1).randbytes(10_000).hex()
DEEP = "[" * 100_000


@pytest.mark.parametrize(
    ("statement", "value"),
    [
        ("INSERT INTO etl_run_shards (run_id, shard, reported_at) VALUES ($2, $1, now())", LONG),
        ("SELECT $1::jsonb, $2::uuid", DEEP),
    ],
)
async def test_a_value_that_is_too_much_for_postgres_is_a_refusal(database_url: str, statement: str, value: str) -> None:
    async with open_pool(database_url, application="test", connections=1, statement_seconds=20) as pool:
        with pytest.raises(PostgresError) as raised:
            await pool.execute(statement, value, UUID(int=1))
    assert (raised.value.sqlstate or "").startswith("54")
    assert is_refusal(raised.value)
    assert not is_outage(raised.value)
