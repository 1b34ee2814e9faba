"""That no statement of a chunk costs its length times the table's, whichever plan Postgres made when the table was small."""

import json
from collections.abc import Iterator
from typing import Any

import pytest

from libs.postgres.pool import Pool
from libs.postgres.writing import quotes
from libs.postgres.writing.assets import LOAD_CHANGED_BY, LOAD_GONE_BY
from libs.postgres.writing.quotes import LOAD_OTHERS
from libs.postgres.writing.ticks import Tick, stage
from tests.integration.writing.conftest import numbered, tick


def filters(plan: dict[str, Any]) -> Iterator[str]:
    yield from (text for name, text in plan.items() if name.endswith("Filter"))
    for below in plan.get("Plans", ()):
        yield from filters(below)


@pytest.mark.parametrize("statement", [LOAD_CHANGED_BY, LOAD_GONE_BY], ids=["changed by", "gone by"])
async def test_the_plan_that_is_kept_compares_no_array_with_each_row(pool: Pool, statement: str) -> None:
    arguments = ", ".join(["'{}'"] * statement.count("[])"))
    async with pool.acquire() as connection:
        await connection.execute("SET plan_cache_mode = force_generic_plan")
        await connection.execute(f"PREPARE asked AS {statement}")
        explained = json.loads(await connection.fetchval(f"EXPLAIN (FORMAT JSON) EXECUTE asked ({arguments})"))
    assert not [text for text in filters(explained[0]["Plan"]) if "= ANY (" in text]


async def test_the_other_quotes_of_a_chunk_are_found_by_the_index_though_the_table_has_grown(pool: Pool) -> None:
    """In a session that has asked often while the table was small, and before anybody has analyzed it."""
    async with pool.acquire() as connection, connection.transaction():
        await connection.execute(f"PREPARE asked AS {LOAD_OTHERS}")
        for _ in range(8):  # after five Postgres thinks of keeping a plan
            await connection.execute("EXECUTE asked ('{a}', '{}')")
        chunk = numbered([tick(f"coin{number}", f"symbol{number}") for number in range(5_000)])
        await stage(connection, [one for one in chunk if isinstance(one, Tick)])
        await quotes.upsert_newest(connection)
        asked = "EXPLAIN (FORMAT JSON) EXECUTE asked ('{symbol1,symbol2,symbol3}', '{}')"
        plan = json.dumps(json.loads(await connection.fetchval(asked)))
    assert "quotes_asset_uid" in plan
    assert "Seq Scan" not in plan
