"""That no statement of a chunk costs its length times the table's, whichever plan Postgres made when the table was small."""

import json
from collections.abc import Iterator
from typing import Any

import pytest

from libs.postgres.pool import Pool
from libs.postgres.writing.assets import LOAD_CHANGED_BY, LOAD_GONE_BY
from libs.postgres.writing.quotes import LOAD_OTHERS


def filters(plan: dict[str, Any]) -> Iterator[str]:
    yield from (text for name, text in plan.items() if name.endswith("Filter"))
    for below in plan.get("Plans", ()):
        yield from filters(below)


@pytest.mark.parametrize("statement", [LOAD_OTHERS, LOAD_CHANGED_BY, LOAD_GONE_BY], ids=["others", "changed by", "gone by"])
async def test_the_plan_that_is_kept_compares_no_array_with_each_row(pool: Pool, statement: str) -> None:
    arguments = ", ".join(["'{}'"] * statement.count("[])"))
    async with pool.acquire() as connection:
        await connection.execute("SET plan_cache_mode = force_generic_plan")
        await connection.execute(f"PREPARE asked AS {statement}")
        explained = json.loads(await connection.fetchval(f"EXPLAIN (FORMAT JSON) EXECUTE asked ({arguments})"))
    assert not [text for text in filters(explained[0]["Plan"]) if "= ANY (" in text]
