import random
from datetime import timedelta
from decimal import Decimal
from itertools import groupby

from libs.contracts.asset import Asset
from libs.domain.assets import asset_of
from libs.domain.numbers import number_of
from libs.domain.quotes import Quote
from libs.kafka.connection import KafkaConnection
from libs.kafka.publishing import Publisher
from libs.kafka.records import Record
from libs.postgres.pool import Pool
from libs.sources.catalogue import PRIORITIES
from services.normalizer.wiring import Topics
from tests.integration.normalizer.conftest import (
    NOW,
    count,
    counting,
    latest,
    normalizer_running,
    raw_tick,
    read_all,
    record_of,
)
from tests.integration.streaming.conftest import committed, eventually

TICKS = 6_000


def story(topic: str) -> list[Record]:
    """Ticks of 60 listings that share 25 symbols and change them now and then."""
    chance = random.Random(5)
    ticks = []
    for number in range(TICKS):
        listing = chance.randrange(60)
        symbol = f"s{(listing + (number // 1_500 if listing % 10 == 0 else 0)) % 25}"
        at = NOW + timedelta(milliseconds=number)
        ticks.append(record_of(topic, raw_tick(f"coin{listing}", symbol, price=str(number), rank=listing + 1, at=at)))
    return ticks


async def test_workers_that_come_and_go_under_load_leave_tables_and_topic_right(
    connection: KafkaConnection, database_url: str, pool: Pool, publisher: Publisher, topics: Topics
) -> None:
    ticks = story(topics.raw["coingecko"])

    async def all_acknowledged() -> bool:
        return sum((await committed(connection, topics.group)).values()) == TICKS

    await publisher.publish(ticks[: TICKS // 2])
    async with normalizer_running(connection, database_url, topics, chunk_records=100):
        async with normalizer_running(connection, database_url, topics, chunk_records=100):
            await eventually(counting(pool, "raw_coingecko", TICKS // 4), "a quarter stored")
            await publisher.publish(ticks[TICKS // 2 :])
            await eventually(counting(pool, "raw_coingecko", TICKS * 3 // 4), "three quarters stored", 40)
        await eventually(all_acknowledged, "all acknowledged", 40)
    assert await count(pool, "raw_coingecko") == TICKS
    assert await pool.fetchval("SELECT sum(stored + duplicate) FROM etl_run_progress") == TICKS
    rows = await pool.fetch("SELECT * FROM quotes ORDER BY asset_uid")
    quotes = [Quote._make(number_of(value) if isinstance(value, Decimal) else value for value in row) for row in rows]
    expected = {uid: asset_of(held, PRIORITIES) for uid, held in groupby(quotes, key=lambda quote: quote.asset_uid)}
    held = await pool.fetch("SELECT asset_uid, version, tick_id, listings_total FROM assets")
    assert {row["asset_uid"]: (row["tick_id"], row["listings_total"]) for row in held} == {
        uid: (asset.tick_id, asset.listings_total) for uid, asset in expected.items() if asset
    }
    found = latest(await read_all(connection, topics.assets, lambda found: len(latest(found)) >= len(held)))
    published = {uid: Asset.decode(value).version for uid, value in found.items() if value}
    assert published == {row["asset_uid"]: row["version"] for row in held}
