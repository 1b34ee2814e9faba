"""R: what an engineer would write by hand, and well. One batch after another, nothing at the same time as anything else.

It does the common work only: raw rows by content id, the newest quote of each listing behind a guard, offsets after the commit.
It checks nothing of what it reads, sets nothing aside, counts no runs, makes no assets.
"""

import os

import asyncpg
import uvloop
from aiokafka import AIOKafkaConsumer

from benchmarks.peers.messages import TICK
from benchmarks.peers.storing import store


async def main() -> None:
    """Work until terminated."""
    consumer = AIOKafkaConsumer(
        os.environ["BENCHMARK_TOPIC"],
        bootstrap_servers=os.environ["KAFKA_BOOTSTRAP_SERVERS"],
        group_id=os.environ["BENCHMARK_GROUP"],
        isolation_level="read_committed",
        enable_auto_commit=False,
        auto_offset_reset="earliest",
        max_partition_fetch_bytes=2_097_152,  # twice Kasparro's
    )
    batch = int(os.environ["CHUNK_RECORDS"])
    connection = await asyncpg.connect(os.environ["DATABASE_URL"])
    await consumer.start()
    try:
        while True:
            fetched = await consumer.getmany(timeout_ms=200, max_records=batch)
            if records := [record for part in fetched.values() for record in part]:
                await store(connection, [TICK.decode(record.value) for record in records])
                await consumer.commit()
    finally:
        await consumer.stop()  # it leaves its group, so that who is started in its place need not wait


if __name__ == "__main__":
    uvloop.run(main())
