"""The common work by Kasparro's own parts: its transport, its reading with every check, its raw rows and quotes.

What is left out of the normalizer: locks, counts of runs, history, assets and their publication, and what is told for these.
As there, the next chunk is read while this one is stored.
"""

import asyncio
import os
from asyncio import Queue

from libs.kafka.connection import KafkaConnection
from libs.postgres.pool import Pool
from libs.postgres.writing import quotes, raw_ticks
from libs.postgres.writing.sessions import open_writing_pool
from libs.postgres.writing.ticks import Tick, stage
from libs.process.shutdown import run_until_stopped
from libs.sources.catalogue import SOURCES
from libs.streaming.agents import Chunks, add_agent, create_chunk_app, run_app
from libs.streaming.chunks import Chunk
from services.normalizer.reading import read_in_turns
from services.normalizer.ticks import LANES

SOURCE = SOURCES["coingecko"]


async def store(pool: Pool, ticks: list[Tick]) -> None:
    """One transaction a chunk."""
    async with pool.acquire() as connection, connection.transaction():
        await stage(connection, ticks)
        await raw_ticks.insert_new(connection, SOURCE.raw_table, {tick.quote.tick_id for tick in ticks})
        await connection.execute(quotes.UPSERT_NEWEST)


async def work(chunks: Chunks, pool: Pool) -> None:
    """Read one chunk while others are stored, one of each lane."""
    lanes: list[Queue[tuple[Chunk, list[Tick]]]] = [Queue(maxsize=1) for _ in range(LANES)]

    async def read_all() -> None:
        async for chunk in chunks.unacknowledged():
            entries = (await read_in_turns(SOURCE, chunk.records)).entries
            await lanes[chunk.partition % LANES].put((chunk, [entry for entry in entries if isinstance(entry, Tick)]))

    async def store_all(lane: Queue[tuple[Chunk, list[Tick]]]) -> None:
        while True:
            chunk, ticks = await lane.get()
            await store(pool, ticks)
            chunks.acknowledge(chunk)

    async with asyncio.TaskGroup() as steps:
        steps.create_task(read_all())
        for lane in lanes:
            steps.create_task(store_all(lane))


async def main() -> None:
    """Work until terminated."""
    connection = KafkaConnection(os.environ["KAFKA_BOOTSTRAP_SERVERS"], "benchmark")
    app = create_chunk_app(connection, os.environ["BENCHMARK_GROUP"], chunk_records=int(os.environ["CHUNK_RECORDS"]))
    url = os.environ["DATABASE_URL"]
    async with open_writing_pool(url, application="benchmark-common", connections=LANES, statement_seconds=60) as pool:
        add_agent(app, "work", [os.environ["BENCHMARK_TOPIC"]], lambda chunks: work(chunks, pool))
        await run_app(app)


if __name__ == "__main__":
    run_until_stopped(main())
