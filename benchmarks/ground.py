"""A broker and a Postgres of the benchmark's own, with the topics and tables of the real thing."""

import asyncio
import os
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path

from jgo.constants import MAVEN_CENTRAL_URL

from libs.contracts.topics import PARTITIONS, TOPICS
from libs.devstack.broker import Jars, start_broker
from libs.devstack.children import Nursery
from libs.devstack.database import start_database
from libs.devstack.jars import fetch_jars
from libs.kafka.admin import ensure_topics
from libs.kafka.connection import KafkaConnection
from libs.kafka.offsets import GroupInUseError, Place, open_group_offsets
from libs.postgres.migrations import migrate
from libs.postgres.pool import Pool, open_pool

LEAVING_SECONDS = 30.0
ROOT = Path(__file__).parents[1]
EMPTY = """
    TRUNCATE raw_coingecko, quotes, quote_history, late_ticks, candles_1h, assets, assets_gone, etl_run_progress, etl_runs,
        etl_run_shards RESTART IDENTITY"""


@dataclass(frozen=True, slots=True)
class Ground:
    """Where a contender works. `pool` is the benchmark's own, for looking at the tables; the pids and folders, for their use."""

    connection: KafkaConnection
    database_url: str
    pool: Pool
    broker_pid: int
    broker_data: Path
    postgres_pid: int
    postgres_data: Path

    async def clear(self) -> None:
        """Empty the tables; what is dirty is written before the clock starts."""
        await self.pool.execute(EMPTY)
        await self.pool.execute("CHECKPOINT")

    async def rewind(self, group: str, topic: str) -> None:
        """Let a group begin at offset 0, as soon as the one who was in it has left."""
        targets = {Place(topic, partition): 0 for partition in range(PARTITIONS)}
        async with open_group_offsets(self.connection, group) as offsets, asyncio.timeout(LEAVING_SECONDS):
            while True:
                try:
                    await offsets.require_no_members()
                    return await offsets.commit(targets)
                except GroupInUseError:
                    await asyncio.sleep(1)


@asynccontextmanager
async def ground() -> AsyncIterator[Ground]:
    """Start both, as they come: fsync on, Postgres with 128 MB of buffers."""
    repository = os.environ.get("MAVEN_REPOSITORY_URL") or MAVEN_CENTRAL_URL
    with Nursery() as nursery, nursery.temporary_folder("kasparro-benchmark-") as folder:
        jars = Jars.of(await fetch_jars(ROOT / "kafka.lock", ROOT / ".tools" / "kafka", repository_url=repository))
        broker = await start_broker(nursery, jars, folder / "kafka")
        database = await start_database(nursery, folder / "postgres")
        url = database.url("postgres")
        await asyncio.to_thread(migrate, url)
        connection = KafkaConnection(broker.bootstrap_servers, "benchmark")
        await ensure_topics(connection, TOPICS)
        try:
            async with open_pool(url, application="benchmark", connections=2, statement_seconds=60) as pool:
                yield Ground(
                    *(connection, url, pool),
                    *(broker.child.process.pid, folder / "kafka" / "data"),
                    *(database.child.process.pid, folder / "postgres" / "data"),
                )
        finally:
            broker.child.reap()
            database.child.ask_to_stop()  # and not killed: its children would write into the folder that is deleted now
            await database.child.until_ended()
