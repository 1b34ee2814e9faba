"""Assets that are asked for at the same time are read together, and each caller is told what he would be told alone."""

import asyncio
import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import pytest

from libs.postgres.pool import open_pool
from libs.postgres.reading.acquiring import PostgresAwayError, readers_of
from libs.postgres.reading.quotes import ASSETS_WITH_QUOTES
from services.query.gathering import GatheredAssets
from tests.integration.query.answers import until
from tests.integration.query.conftest import NO_DATABASE
from tests.integration.query.rows import AssetRow, QuoteRow, insert_assets, insert_quotes
from tests.integration.query.test_plans import FIFTEEN_THOUSAND, nodes

WAITING = """
    SELECT count(*) FROM pg_locks JOIN pg_database ON pg_database.oid = database
    WHERE NOT granted AND datname = current_database() AND relation = 'assets'::regclass"""
UIDS = [f"uid{n}" for n in range(30)]


@asynccontextmanager
async def gathered(database_url: str) -> AsyncIterator[GatheredAssets]:
    async with open_pool(database_url, application="test", connections=4, statement_seconds=20, read_only=True) as pool:
        yield GatheredAssets(readers_of(pool))


@pytest.fixture
async def assets(database_url: str, database: Any) -> AsyncIterator[GatheredAssets]:
    await insert_assets(database, [AssetRow(uid) for uid in UIDS])
    quoted = [QuoteRow("csv", f"{uid}-{n}", uid, market_cap_rank=3 - n) for uid in UIDS for n in range(3)]
    await insert_quotes(database, quoted)
    async with gathered(database_url) as assets:
        yield assets


async def waiting(database: Any, statements: int) -> None:
    async def reached() -> bool:
        return bool(await database.fetchval(WAITING) == statements)

    await until(reached)


async def test_everybody_is_told_of_the_asset_he_asked_for(assets: GatheredAssets) -> None:
    for _ in range(5):
        *found, missing = await asyncio.gather(*(assets.load(uid) for uid in [*UIDS, *UIDS, "nobody"]))
        assert [{row["asset_uid"] for row in rows} for rows in found] == [{uid} for uid in [*UIDS, *UIDS]]
        assert all([row["quote_market_cap_rank"] for row in rows] == [1, 2, 3] for rows in found)
        assert not missing


async def test_who_comes_while_a_statement_is_under_way_is_in_the_next_one(assets: GatheredAssets, database: Any) -> None:
    """What the first one reads may be older than the question."""
    async with database.transaction():
        await database.execute("LOCK TABLE assets")
        first = asyncio.create_task(assets.load("uid0"))
        await waiting(database, 1)
        others = [asyncio.create_task(assets.load(uid)) for uid in UIDS]
        await waiting(database, 2)
    found = await asyncio.gather(first, *others)
    assert [rows[0]["asset_uid"] for rows in found] == ["uid0", *UIDS]


async def test_a_statement_goes_on_until_the_last_of_its_callers_has_gone(assets: GatheredAssets, database: Any) -> None:
    async with database.transaction():
        await database.execute("LOCK TABLE assets")
        one, two = asyncio.create_task(assets.load("uid1")), asyncio.create_task(assets.load("uid2"))
        await waiting(database, 1)
        one.cancel()
        three, four = asyncio.create_task(assets.load("uid3")), asyncio.create_task(assets.load("uid4"))
        await waiting(database, 2)
        three.cancel()
        four.cancel()
        await waiting(database, 1)
    assert (await two)[0]["asset_uid"] == "uid2"
    assert (await assets.load("uid3"))[0]["asset_uid"] == "uid3"
    assert one.cancelled()


async def test_an_outage_is_told_to_everybody() -> None:
    async with gathered(NO_DATABASE) as assets:
        told = await asyncio.gather(*(assets.load(uid) for uid in UIDS), return_exceptions=True)
    assert [type(one) for one in told] == [PostgresAwayError] * len(UIDS)


async def test_an_index_finds_them_and_the_plan_is_kept(database: Any) -> None:
    """A plan a statement would cost more than the statement: Postgres keeps one when it cannot tell how many uids there are."""
    await database.execute(FIFTEEN_THOUSAND)
    await database.execute("VACUUM ANALYZE assets")
    await database.execute(f"PREPARE assets_with_quotes AS {ASSETS_WITH_QUOTES}")
    for count in range(1, 12):
        uids = ", ".join(f"'uid{n}'" for n in range(count))
        explained = await database.fetchval(f"EXPLAIN (FORMAT JSON) EXECUTE assets_with_quotes(ARRAY[{uids}])")
        assert "Seq Scan" not in nodes(json.loads(explained)[0]["Plan"])
    kept = "SELECT generic_plans, custom_plans FROM pg_prepared_statements WHERE name = 'assets_with_quotes'"
    assert tuple(await database.fetchrow(kept)) == (6, 5)
