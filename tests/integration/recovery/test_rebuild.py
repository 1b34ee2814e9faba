import asyncio
from uuid import uuid4

import pytest

from libs.kafka.connection import KafkaConnection
from libs.kafka.offsets import GroupInUseError, Place, open_group_offsets
from libs.kafka.publishing import Publisher
from libs.postgres.pool import Pool
from libs.postgres.writing.rebuilding import emptied
from libs.process.clock import SystemClock
from libs.recovery.rebuilding import Tables, rebuild, survey
from libs.recovery.replaying import Wish, move, plan
from libs.recovery.retelling import Retelling, Told
from libs.recovery.targets import Beginning
from libs.sources.catalogue import PRIORITIES
from services.normalizer.wiring import Topics
from tests.integration.normalizer.conftest import normalizer_running
from tests.integration.recovery.stories import (
    RAW_TABLES,
    TABLES,
    asset_versions,
    live_through,
    pipeline_of,
    published_assets,
    snapshot,
    until_nobody_is_left,
    until_quiet,
)

EVERYTHING = "quotes, assets, assets_gone, etl_runs, etl_run_shards, etl_run_progress, raw_coingecko, raw_coinpaprika"
HISTORY = "quote_history, late_ticks, candles_1h"


async def normalize_all(connection: KafkaConnection, database_url: str, pool: Pool, topics: Topics) -> None:
    async with normalizer_running(connection, database_url, topics, chunk_records=100):
        await until_quiet(connection, pool, topics)
    await until_nobody_is_left(connection, topics)


async def replay(connection: KafkaConnection, topics: Topics, wish: Wish) -> None:
    async with open_group_offsets(connection, topics.group) as offsets:
        await offsets.require_no_members()
        await move(offsets, await plan(wish, pipeline_of(topics), offsets))


async def rebuild_and_tell(
    connection: KafkaConnection, pool: Pool, publisher: Publisher, topics: Topics, *sources: str, history: bool = False
) -> Told:
    tables = Tables({source: RAW_TABLES[source] for source in sources or RAW_TABLES}, PRIORITIES, history)
    async with open_group_offsets(connection, topics.group) as offsets:
        moves = await plan(Wish(Beginning(), sources, rebuild=True), pipeline_of(topics), offsets)
        await rebuild(pool, tables, offsets, moves)
    return await Retelling(connection, pool, publisher, topics.assets, SystemClock()).tell()


async def test_a_replay_over_full_tables_changes_nothing_not_even_a_version(
    connection: KafkaConnection, database_url: str, pool: Pool, publisher: Publisher, topics: Topics
) -> None:
    ticks = await live_through(publisher, topics)
    await normalize_all(connection, database_url, pool, topics)
    before, versions = await snapshot(pool), await asset_versions(pool)
    assert len(before["raw_coingecko"]) > 200
    assert (
        await pool.fetchval("SELECT sum(stored + duplicate + dead_lettered) FROM etl_run_progress") < ticks
    )  # poison has no run
    await replay(connection, topics, Wish(Beginning()))
    await normalize_all(connection, database_url, pool, topics)
    assert await snapshot(pool) == before
    assert await asset_versions(pool) == versions == await published_assets(connection, topics.assets)


@pytest.mark.parametrize("history", [False, True], ids=["history kept", "history emptied"])
async def test_tables_emptied_and_replayed_come_back_the_same_and_subscribers_hold_the_same_assets(
    connection: KafkaConnection, database_url: str, pool: Pool, publisher: Publisher, topics: Topics, *, history: bool
) -> None:
    await live_through(publisher, topics)
    await normalize_all(connection, database_url, pool, topics)
    before, versions = await snapshot(pool), await asset_versions(pool)
    told = await rebuild_and_tell(connection, pool, publisher, topics, history=history)
    assert told == Told(0, len(versions))
    assert (await snapshot(pool))["candles_1h"] == ([] if history else before["candles_1h"])
    assert await published_assets(connection, topics.assets) == await asset_versions(pool) == {}
    assert await pool.fetchval("SELECT count(*) FROM raw_coingecko") == 0
    await normalize_all(connection, database_url, pool, topics)
    assert await snapshot(pool) == before
    after = await asset_versions(pool)
    assert await published_assets(connection, topics.assets) == after
    assert all(after[uid] > version for uid, version in versions.items())


async def test_a_database_that_was_lost_whole_comes_back_from_the_topics_runs_and_counts_too(
    connection: KafkaConnection, database_url: str, pool: Pool, publisher: Publisher, topics: Topics
) -> None:
    await live_through(publisher, topics, seed=11)
    await normalize_all(connection, database_url, pool, topics)
    before = await snapshot(pool)
    await pool.execute(f"TRUNCATE {EVERYTHING}, {HISTORY}")
    await rebuild_and_tell(connection, pool, publisher, topics)
    await normalize_all(connection, database_url, pool, topics)
    assert await snapshot(pool) == before
    assert await published_assets(connection, topics.assets) == await asset_versions(pool)


async def test_one_source_is_rebuilt_while_the_assets_of_the_others_stay_right(
    connection: KafkaConnection, database_url: str, pool: Pool, publisher: Publisher, topics: Topics
) -> None:
    await live_through(publisher, topics)
    await normalize_all(connection, database_url, pool, topics)
    before = await snapshot(pool)
    await rebuild_and_tell(connection, pool, publisher, topics, "coingecko", history=True)
    between = await snapshot(pool)
    assert {row[0] for row in await pool.fetch("SELECT source FROM quote_history UNION SELECT source FROM candles_1h")} == {
        "coinpaprika"
    }
    assert between["raw_coingecko"] == []
    assert between["raw_coinpaprika"] == before["raw_coinpaprika"]
    assert {quote[0] for quote in between["quotes"]} == {"coinpaprika"}
    rows = await pool.fetch("SELECT source, anchor_source, listings_total, asset_uid FROM assets")
    assert {(row["source"], row["anchor_source"]) for row in rows} == {("coinpaprika", "coinpaprika")}
    listings = await pool.fetch("SELECT asset_uid, count(*) AS held FROM quotes GROUP BY asset_uid")
    assert {row["asset_uid"]: row["listings_total"] for row in rows} == {row["asset_uid"]: row["held"] for row in listings}
    assert await published_assets(connection, topics.assets) == await asset_versions(pool)
    await normalize_all(connection, database_url, pool, topics)
    assert await snapshot(pool) == before
    assert await published_assets(connection, topics.assets) == await asset_versions(pool)


async def test_an_asset_that_the_topics_do_not_bring_back_is_gone_for_subscribers_too(
    connection: KafkaConnection, database_url: str, pool: Pool, publisher: Publisher, topics: Topics
) -> None:
    await live_through(publisher, topics)
    await normalize_all(connection, database_url, pool, topics)
    before = await snapshot(pool)
    phantom = "UPDATE {} SET asset_uid = 'phantom', tick_id = $1 WHERE asset_uid = 'w5'"
    for table in ("assets", "quotes"):
        await pool.execute(phantom.format(table), uuid4())
    await Retelling(connection, pool, publisher, topics.assets, SystemClock()).tell()
    assert "phantom" in await published_assets(connection, topics.assets)
    whole = Tables(TABLES.raw, TABLES.priorities, history=True)
    held = {one.source: one for one in await survey(connection, pool, whole, topics.raw)}
    assert (held["coingecko"].quotes_beyond_reach, held["coinpaprika"].quotes_beyond_reach) == (1, 0)
    assert (held["coingecko"].ticks > 200, held["coingecko"].ticks_beyond_reach) == (True, 0)
    await rebuild_and_tell(connection, pool, publisher, topics)
    await normalize_all(connection, database_url, pool, topics)
    assert await snapshot(pool) == before
    assert await published_assets(connection, topics.assets) == await asset_versions(pool)


async def test_a_worker_that_joins_first_makes_the_broker_refuse_and_nothing_has_happened(
    connection: KafkaConnection, database_url: str, pool: Pool, publisher: Publisher, topics: Topics
) -> None:
    await live_through(publisher, topics)
    async with open_group_offsets(connection, topics.group) as offsets, normalizer_running(connection, database_url, topics):
        await until_quiet(connection, pool, topics)
        before, committed = await snapshot(pool), await offsets.committed()
        moves = await plan(Wish(Beginning(), rebuild=True), pipeline_of(topics), offsets)
        with pytest.raises(GroupInUseError, match=r"test at 127\.0\.0\.1"):
            await rebuild(pool, TABLES, offsets, moves)
        assert await offsets.committed() == committed
        assert await snapshot(pool) == before


async def test_a_rebuild_that_dies_once_the_offsets_are_moved_leaves_full_tables_that_a_replay_does_not_change(
    connection: KafkaConnection, database_url: str, pool: Pool, publisher: Publisher, topics: Topics
) -> None:
    await live_through(publisher, topics)
    await normalize_all(connection, database_url, pool, topics)
    before = await snapshot(pool)
    async with open_group_offsets(connection, topics.group) as offsets:
        moves = await plan(Wish(Beginning(), rebuild=True), pipeline_of(topics), offsets)

        async def rebuild_and_die() -> None:
            async with emptied(pool, TABLES.raw, TABLES.priorities):
                await move(offsets, moves)
                raise RuntimeError("killed")

        with pytest.raises(RuntimeError, match="killed"):
            await rebuild_and_die()
        assert (await offsets.committed())[Place(topics.raw["coingecko"], 0)] == 0
    assert await snapshot(pool) == before
    await normalize_all(connection, database_url, pool, topics)
    assert await snapshot(pool) == before
    assert await published_assets(connection, topics.assets) == await asset_versions(pool)


async def test_a_worker_that_starts_before_subscribers_were_told_ends_with_topic_and_table_alike(
    connection: KafkaConnection, database_url: str, pool: Pool, publisher: Publisher, topics: Topics
) -> None:
    await live_through(publisher, topics)
    await normalize_all(connection, database_url, pool, topics)
    before = await snapshot(pool)
    async with open_group_offsets(connection, topics.group) as offsets:
        moves = await plan(Wish(Beginning(), rebuild=True), pipeline_of(topics), offsets)
        await rebuild(pool, TABLES, offsets, moves)
    retelling = Retelling(connection, pool, publisher, topics.assets, SystemClock())
    async with normalizer_running(connection, database_url, topics, chunk_records=20):
        for _ in range(5):
            await retelling.tell()
            await asyncio.sleep(0)
        await until_quiet(connection, pool, topics)
    assert await snapshot(pool) == before
    assert await published_assets(connection, topics.assets) == await asset_versions(pool)
