"""How many ticks a second one normalizer applies, all of its work included.

    python -m benchmarks.normalizer [--ticks 300000] [--listings 15000] [--profile FILE]

Starts a broker and a Postgres of its own, publishes the ticks, starts `python -m services.normalizer` and times it from its
first stored tick to its last committed offset. Ticks are CoinGecko's rows of about 350 bytes, each with a new price, so
that every one is stored, moves its quote and changes its asset. Figures drift with the machine; compare runs of one hour.
"""

import argparse
import asyncio
import os
import random
import sys
import time
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from uuid import UUID

import msgspec
import psutil
from jgo.constants import MAVEN_CENTRAL_URL

from libs.contracts.raw_tick import RawTickFrame, encode_raw_tick
from libs.contracts.topics import NORMALIZER_GROUP, SOURCE_TOPICS, TOPICS
from libs.devstack.broker import Jars, start_broker
from libs.devstack.children import Nursery
from libs.devstack.database import start_database
from libs.devstack.jars import fetch_jars
from libs.domain.identity import tick_id_of
from libs.kafka.admin import ensure_topics
from libs.kafka.connection import KafkaConnection
from libs.kafka.publishing import open_publisher
from libs.kafka.records import Record
from libs.postgres.migrations import migrate
from libs.postgres.pool import Pool, open_pool
from libs.streaming.checkpoints import open_checkpoints

ROOT = Path(__file__).parents[1]
TOPIC = SOURCE_TOPICS["coingecko"].raw.name
BATCH = 20_000


def ticks(count: int, listings: int) -> Iterator[Record]:
    """Listing after listing, round after round; a tenth of the symbols collide."""
    chance = random.Random(1)  # noqa: S311 - the same ticks each time
    start = datetime.now(UTC) - timedelta(days=1)
    for number in range(count):
        listing = number % listings
        at = start + timedelta(seconds=number // listings)
        symbol = f"sym{listing % (listings * 9 // 10)}"
        payload = (
            f'{{"id":"coin-number-{listing}","symbol":"{symbol}","name":"Coin Number {listing}",'
            f'"current_price":{chance.random() * 1000:.8f},"market_cap":{chance.randrange(10**6, 10**12)},'
            f'"market_cap_rank":{listing + 1},"total_volume":{chance.randrange(10**4, 10**10)},'
            f'"price_change_percentage_24h":{chance.uniform(-9, 9):.5f},"circulating_supply":{chance.random() * 10**9:.4f},'
            f'"total_supply":1000000000.0,"max_supply":null,"last_updated":"{at.isoformat()}"}}'
        ).encode()
        frame = RawTickFrame(
            tick_id=tick_id_of("coingecko", f"coin-number-{listing}", payload),
            source="coingecko",
            source_id=f"coin-number-{listing}",
            asset_uid=symbol,
            run_id=UUID(int=number // listings),
            fetched_at=at,
            source_updated_at=at,
            payload=msgspec.Raw(payload),
        )
        yield Record(TOPIC, symbol.encode(), encode_raw_tick(frame))


async def publish(connection: KafkaConnection, count: int, listings: int) -> None:
    """Fill the topic."""
    async with open_publisher(connection, timeout_seconds=60) as publisher:
        batch: list[Record] = []
        for record in ticks(count, listings):
            batch.append(record)
            if len(batch) == BATCH:
                await publisher.publish(batch)
                batch.clear()
        await publisher.publish(batch)


async def applied(pool: Pool) -> int:
    """How many ticks have been stored, or counted as duplicates."""
    return int(await pool.fetchval("SELECT coalesce(sum(stored + duplicate), 0) FROM etl_run_progress"))


async def measure(connection: KafkaConnection, database_url: str, count: int, profile: str | None) -> None:
    """Run one normalizer until everything is applied and committed."""
    profiling = ["-m", "cProfile", "-o", profile] if profile else []
    environment = os.environ | {
        "KAFKA_BOOTSTRAP_SERVERS": connection.bootstrap_servers,
        "DATABASE_URL": database_url,
        "LOG_LEVEL": "WARNING",
    }
    worker = await asyncio.create_subprocess_exec(sys.executable, *profiling, "-m", "services.normalizer", env=environment)
    try:
        async with (
            open_pool(database_url, application="benchmark", connections=1, statement_seconds=20) as pool,
            open_checkpoints(connection, NORMALIZER_GROUP) as checkpoints,
        ):
            while not (first := await applied(pool)):  # noqa: ASYNC110 - what we look at belongs to another process
                await asyncio.sleep(0.05)
            began = time.monotonic()
            while sum((await checkpoints.committed()).values()) < count:  # noqa: ASYNC110 - the same
                await asyncio.sleep(0.1)
            seconds = time.monotonic() - began
            changes = await pool.fetchval("SELECT last_value FROM asset_versions")
            process = psutil.Process(worker.pid)
            cpu, memory = process.cpu_times(), process.memory_info().rss
    finally:
        worker.terminate()
        await worker.wait()
    print(f"{count - first} ticks in {seconds:.1f} s: {(count - first) / seconds:,.0f} ticks/s; {changes:,} versions of assets")
    own = 1e6 * (cpu.user + cpu.system) / count
    print(f"the normalizer's own CPU: {own:.0f} us a tick, start-up included; {memory / 2**20:.0f} MiB")


async def main() -> None:
    """Set up, publish, measure."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--ticks", type=int, default=300_000)
    parser.add_argument("--listings", type=int, default=15_000)
    parser.add_argument("--profile", help="write a cProfile of the normalizer's main thread here")
    told = parser.parse_args()
    repository = os.environ.get("MAVEN_REPOSITORY_URL") or MAVEN_CENTRAL_URL
    with Nursery() as nursery, nursery.temporary_folder("kasparro-benchmark-") as folder:
        jars = Jars.of(await fetch_jars(ROOT / "kafka.lock", ROOT / ".tools" / "kafka", repository_url=repository))
        broker = await start_broker(nursery, jars, folder / "kafka")
        database = await start_database(nursery, folder / "postgres")
        await asyncio.to_thread(migrate, database.url("postgres"))
        connection = KafkaConnection(broker.bootstrap_servers, "benchmark")
        await ensure_topics(connection, TOPICS)
        await publish(connection, told.ticks, told.listings)
        print(f"published {told.ticks} ticks", flush=True)
        await measure(connection, database.url("postgres"), told.ticks, told.profile)


if __name__ == "__main__":
    asyncio.run(main())
