import json
import random
from datetime import timedelta
from decimal import Decimal

from libs.contracts.asset import Asset
from libs.kafka.connection import KafkaConnection
from libs.kafka.publishing import Publisher
from libs.kafka.records import Record
from libs.postgres.pool import Pool
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
    start_process,
)
from tests.integration.streaming.conftest import committed, eventually


async def test_a_tick_becomes_a_row_an_asset_and_a_message_with_every_digit(
    connection: KafkaConnection, database_url: str, pool: Pool, publisher: Publisher, topics: Topics
) -> None:
    topic = topics.raw["coingecko"]
    await publisher.publish([record_of(topic, raw_tick("bitcoin", "BTC", price="3.84e-18", rank=1))])
    async with normalizer_running(connection, database_url, topics):
        messages = await read_all(connection, topics.assets, lambda found: len(found) == 1)
    asset = Asset.decode(messages[0].value or b"")
    assert (asset.asset_uid, asset.price_usd, asset.symbol) == ("btc", Decimal("3.84e-18"), "BTC")
    assert messages[0].key == b"btc"
    assert await count(pool, "raw_coingecko") == await count(pool, "quotes") == await count(pool, "assets") == 1


async def test_a_bad_record_is_set_aside_untouched_and_spares_its_neighbours(
    connection: KafkaConnection, database_url: str, pool: Pool, publisher: Publisher, topics: Topics
) -> None:
    topic = topics.raw["coingecko"]
    good = [record_of(topic, raw_tick(f"coin{number}", "same")) for number in range(20)]
    another = record_of(topic, raw_tick("other", "other"))
    future = raw_tick("late", "same", at=NOW + timedelta(days=3))
    bad = [
        Record(topic, b"same", b"not json", (("h", b"kept"),)),
        Record(topic, b"same", None),
        Record(topic, b"same", b'{"tick_id": 1}'),
        Record(topic, b"same", another.value),
        record_of(topic, future),
    ]
    mixed = good + bad
    random.Random(1).shuffle(mixed)
    await publisher.publish(mixed)
    async with normalizer_running(connection, database_url, topics):
        letters = await read_all(connection, topics.dead_letters, lambda found: len(found) >= 5)
        await eventually(counting(pool, "raw_coingecko", 20), "the good ones are stored")
    reasons = {dict(letter.headers)["__connect.errors.class.name"] for letter in letters}
    assert reasons == {b"undecodable", b"wrong_shape", b"identity_mismatch", b"time_in_future"}
    assert sorted((letter.key, letter.value or b"") for letter in letters) == sorted((one.key, one.value or b"") for one in bad)
    kept = next(dict(letter.headers) for letter in letters if letter.value == b"not json")
    assert (kept["h"], kept["__connect.errors.topic"], kept["kasparro.attempt"]) == (b"kept", topic.encode(), b"1")


async def test_what_gathers_while_postgres_is_busy_is_stored_together_and_what_is_refused_of_it_set_aside_alone(
    connection: KafkaConnection, database_url: str, pool: Pool, publisher: Publisher, topics: Topics
) -> None:
    topic = topics.raw["coingecko"]
    await pool.execute("ALTER TABLE raw_coingecko ADD CONSTRAINT test_refusal CHECK (source_id <> 'coin7')")

    async def publish(first: int, last: int) -> None:
        for number in range(first, last):
            await publisher.publish([record_of(topic, raw_tick(f"coin{number}", f"symbol{number}"))])

    async with normalizer_running(connection, database_url, topics):
        await publish(20, 21)
        await eventually(counting(pool, "raw_coingecko", 1), "it works")
        async with pool.acquire() as other, other.transaction():
            await other.execute("LOCK TABLE raw_coingecko IN ACCESS EXCLUSIVE MODE")
            await publish(0, 7)
            await publish(8, 20)
        await eventually(counting(pool, "raw_coingecko", 20), "all are stored")
        assert await pool.fetchval("SELECT count(DISTINCT xmin::text) FROM raw_coingecko") < 12
        async with pool.acquire() as other, other.transaction():
            await other.execute("LOCK TABLE raw_coingecko IN ACCESS EXCLUSIVE MODE")
            await publish(0, 20)
            await publish(30, 40)
        await eventually(counting(pool, "raw_coingecko", 30), "the neighbours are stored")
        (letter,) = await read_all(connection, topics.dead_letters, bool)
    assert letter.key == b"symbol7"
    assert await count(pool, "assets") == 30


async def test_what_postgres_refuses_is_found_and_set_aside_alone(
    connection: KafkaConnection, database_url: str, pool: Pool, publisher: Publisher, topics: Topics
) -> None:
    await pool.execute("ALTER TABLE raw_coingecko ADD CONSTRAINT test_refusal CHECK (source_id <> 'coin7')")
    topic = topics.raw["coingecko"]
    await publisher.publish([record_of(topic, raw_tick(f"coin{number}", "same")) for number in range(40)])
    async with normalizer_running(connection, database_url, topics):
        letters = await read_all(connection, topics.dead_letters, lambda found: len(found) >= 1)
        await eventually(counting(pool, "raw_coingecko", 39), "the neighbours are stored")

        async def acknowledged() -> bool:
            offsets = await committed(connection, topics.group)
            return sum(offset for (name, _), offset in offsets.items() if name == topic) == 40

        await eventually(acknowledged, "all acknowledged")
    assert [json.loads(letter.value or b"")["source_id"] for letter in letters] == ["coin7"]
    assert dict(letters[0].headers)["__connect.errors.class.name"] == b"refused_by_database"
    assert await pool.fetchval("SELECT sum(dead_lettered) FROM etl_run_progress") == 1


async def test_a_killed_worker_loses_nothing_and_doubles_nothing(
    connection: KafkaConnection, database_url: str, pool: Pool, publisher: Publisher, topics: Topics
) -> None:
    topic = topics.raw["coingecko"]
    ticks = [
        raw_tick(f"coin{number % 700}", f"s{number % 500}", price=str(number), at=NOW + timedelta(seconds=number))
        for number in range(6_000)
    ]
    await publisher.publish([record_of(topic, tick) for tick in ticks])
    for stored in (1, 3_000):
        worker = await start_process(connection, database_url, topics)
        await eventually(counting(pool, "raw_coingecko", stored), f"{stored} stored")
        worker.kill()
        assert await worker.wait() != 0
    async with normalizer_running(connection, database_url, topics):

        async def acknowledged() -> bool:
            return sum((await committed(connection, topics.group)).values()) == 6_000

        await eventually(acknowledged, "all acknowledged", 60)
    assert await count(pool, "raw_coingecko") == 6_000
    assert await pool.fetchval("SELECT sum(stored) + sum(duplicate) FROM etl_run_progress") == 6_000
    rows = await pool.fetch("SELECT asset_uid, version, price_usd FROM assets")
    messages = latest(await read_all(connection, topics.assets, lambda found: len(latest(found)) >= len(rows)))
    published = {uid: Asset.decode(value or b"") for uid, value in messages.items()}
    assert {row["asset_uid"]: (row["version"], row["price_usd"]) for row in rows} == {
        uid: (asset.version, asset.price_usd) for uid, asset in published.items()
    }
