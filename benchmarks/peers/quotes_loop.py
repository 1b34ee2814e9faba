"""R for quotes alone: what the serial loop does, from a topic whose messages are flat, without the raw rows."""

import os

import asyncpg
import uvloop
from aiokafka import AIOKafkaConsumer

from benchmarks.peers.messages import FLAT_QUOTE, FlatQuote
from benchmarks.peers.statements import UPSERT_QUOTES, quote_columns


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
    while True:
        fetched = await consumer.getmany(timeout_ms=200, max_records=batch)
        if records := [record for part in fetched.values() for record in part]:
            newest: dict[str, FlatQuote] = {}
            for record in records:
                quote = FLAT_QUOTE.decode(record.value)
                held = newest.get(quote.source_id)
                if held is None or held.source_updated_at <= quote.source_updated_at:
                    newest[quote.source_id] = quote
            ordered = [(quote, quote) for _, quote in sorted(newest.items())]
            await connection.execute(UPSERT_QUOTES, *quote_columns(ordered))
            await consumer.commit()


if __name__ == "__main__":
    uvloop.run(main())
