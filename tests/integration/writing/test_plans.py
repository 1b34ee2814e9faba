"""That no statement of a chunk costs its length times the table's, whichever plan Postgres made when the table was small."""

import asyncio
import json
from collections.abc import Iterator
from typing import Any

import pytest

from libs.postgres.pool import Pool
from libs.postgres.writing import quotes
from libs.postgres.writing.assets import FIND_OVERTAKEN, LOAD_CHANGED_BY, LOAD_GONE_BY
from libs.postgres.writing.quotes import LOAD_OTHERS, UPSERT_NEWEST_AND_TELL
from libs.postgres.writing.ticks import Tick, stage
from tests.integration.writing.conftest import COINGECKO, START, numbered, tick, write_chunk


def nodes(plan: dict[str, Any]) -> Iterator[dict[str, Any]]:
    yield plan
    for below in plan.get("Plans", ()):
        yield from nodes(below)


def filters(plan: dict[str, Any]) -> Iterator[str]:
    yield from (text for node in nodes(plan) for name, text in node.items() if name.endswith("Filter"))


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


async def test_who_has_a_candle_or_another_listing_is_found_by_an_index_though_the_table_has_grown(pool: Pool) -> None:
    async with pool.acquire() as connection, connection.transaction():
        await connection.execute(f"PREPARE moved AS {UPSERT_NEWEST_AND_TELL}")
        for _ in range(8):
            await connection.execute(f"EXECUTE moved ('{START}')")
        chunk = numbered([tick(f"coin{number}", f"symbol{number}") for number in range(5_000)])
        await stage(connection, [one for one in chunk if isinstance(one, Tick)])
        await quotes.upsert_newest(connection)
        plan = json.loads(await connection.fetchval(f"EXPLAIN (FORMAT JSON) EXECUTE moved ('{START}')"))[0]["Plan"]
    looks = {(node.get("Relation Name"), node["Node Type"]) for node in nodes(plan)}
    assert {look for look in looks if look[1] == "Seq Scan"} == {("incoming_ticks", "Seq Scan")}
    assert {look[0] for look in looks if look[1] in {"Index Scan", "Index Only Scan"}} == {"candles_1h_202607", "quotes"}
    assert "quotes_asset_uid" in {node.get("Index Name") for node in nodes(plan)}


async def test_what_was_overtaken_is_found_by_the_key_though_the_table_has_grown(pool: Pool) -> None:
    """And has been analyzed: for as many as a chunk has, the planner would go through all of it."""
    uids = [f"symbol{number}" for number in range(5_000)]
    await write_chunk(pool, COINGECKO, 0, numbered([tick(uid, uid) for uid in uids]))
    await pool.execute("ANALYZE assets")
    sent = json.dumps(dict.fromkeys(uids[:1_000], 1))
    plan = json.loads(await pool.fetchval(f"EXPLAIN (FORMAT JSON) {FIND_OVERTAKEN}", sent))[0]["Plan"]
    looks = {(node.get("Relation Name"), node.get("Index Name")) for node in nodes(plan)}
    assert looks == {(None, None), ("assets", "assets_pkey")}


async def test_a_new_version_of_an_asset_costs_its_row_and_no_index(pool: Pool) -> None:
    """An index on anything that changes with a tick would be written for each, and forbid updates within a page (HOT)."""
    indexes = await pool.fetch("SELECT indexname FROM pg_indexes WHERE schemaname = 'public' AND tablename = 'assets'")
    assert [row["indexname"] for row in indexes] == ["assets_pkey"]
    uids = [f"symbol{number:03}" for number in range(300)]
    await write_chunk(pool, COINGECKO, 0, numbered([tick(uid, uid, rank=1) for uid in uids]))
    moved = [tick(uid, uid, rank=2, minute=1, price="7") for uid in uids[::20]]  # a page has room for a few
    assert len((await write_chunk(pool, COINGECKO, 0, numbered(moved, 300))).changed) == len(moved)
    async with pool.acquire() as connection:
        await connection.execute("SELECT pg_stat_force_next_flush()")
    statement = "SELECT n_tup_upd, n_tup_hot_upd FROM pg_stat_user_tables WHERE relname = 'assets'"
    async with asyncio.timeout(60):
        while (counted := [tuple(row) for row in await pool.fetch(statement)]) == [(0, 0)]:  # noqa: ASYNC110 statistics come late
            await asyncio.sleep(0.1)
    assert counted == [(len(moved), len(moved))]
