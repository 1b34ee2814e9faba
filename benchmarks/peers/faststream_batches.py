"""The common work in a FastStream subscriber of batches, acknowledged after the commit. Runs in an environment of its own.

Tuned: no validation of arguments (`apply_types=False`), a decoder that leaves the bytes to msgspec, fetches of 2 MiB.
"""

import os
from typing import Any

import asyncpg
import uvloop
from faststream import AckPolicy, FastStream
from faststream.kafka import KafkaBroker

from benchmarks.peers.messages import TICK
from benchmarks.peers.storing import store

broker = KafkaBroker(os.environ["KAFKA_BOOTSTRAP_SERVERS"], apply_types=False, logger=None)
app = FastStream(broker, logger=None)
pools: list[Any] = []


async def as_they_are(message: Any) -> Any:
    """Return the bodies of a batch."""
    return message.body


@broker.subscriber(
    os.environ["BENCHMARK_TOPIC"],
    group_id=os.environ["BENCHMARK_GROUP"],
    batch=True,
    max_records=int(os.environ["CHUNK_RECORDS"]),
    batch_timeout_ms=200,
    auto_offset_reset="earliest",
    isolation_level="read_committed",
    max_partition_fetch_bytes=2_097_152,
    ack_policy=AckPolicy.NACK_ON_ERROR,
    decoder=as_they_are,
)
async def normalize(values: list[bytes]) -> None:
    """Store a batch."""
    async with pools[0].acquire() as connection:
        await store(connection, [TICK.decode(value) for value in values])


@app.on_startup
async def connect() -> None:
    """Open a pool: of one connection, as a subscriber without concurrency needs, which is replaced when it has been cut."""
    pools.append(await asyncpg.create_pool(os.environ["DATABASE_URL"], min_size=1, max_size=1))


if __name__ == "__main__":
    uvloop.run(app.run())
