import asyncio
import json
import sys
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping, Sequence
from contextlib import asynccontextmanager
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID, uuid4

import msgspec
import pytest

from libs.contracts.raw_tick import RawTickFrame, encode_raw_tick
from libs.contracts.run_events import RUN_EVENT, RunEvent
from libs.contracts.topics import Topic
from libs.domain.identity import tick_id_of
from libs.kafka.admin import ensure_topics
from libs.kafka.connection import KafkaConnection
from libs.kafka.publishing import Publisher, open_publisher
from libs.kafka.records import Record
from libs.kafka.tailing import Start, TopicRecord, open_tail
from libs.postgres.pool import Pool
from libs.postgres.writing.sessions import open_writing_pool
from libs.process.clock import SystemClock
from libs.telemetry.meters import Meters
from services.normalizer.health import Health
from services.normalizer.wiring import Limits, Topics, run_normalizer
from tests.integration.streaming.conftest import eventually

NOW = datetime.now(UTC).replace(microsecond=0)
PARTITIONS = 3
RUN = UUID(int=1)


@pytest.fixture
def connection(kafka_bootstrap_servers: str) -> KafkaConnection:
    return KafkaConnection(kafka_bootstrap_servers, "test")


@pytest.fixture
async def publisher(connection: KafkaConnection) -> AsyncIterator[Publisher]:
    async with open_publisher(connection) as publisher:
        yield publisher


@pytest.fixture
async def pool(database_url: str) -> AsyncIterator[Pool]:
    async with open_writing_pool(database_url, application="test", connections=3, statement_seconds=20) as pool:
        yield pool


@pytest.fixture
async def topics(connection: KafkaConnection) -> Topics:
    """Topics of the test's own, and a group."""
    mark = uuid4().hex[:12]
    names = Topics(
        raw={"coingecko": f"raw1-{mark}", "coinpaprika": f"raw2-{mark}"},
        assets=f"assets-{mark}",
        dead_letters=f"dead-{mark}",
        runs=f"runs-{mark}",
        settlements=f"settlements-{mark}",
        gaps=f"gaps-{mark}",
        group=f"group-{mark}",
        partitions=PARTITIONS,
    )
    compacted = {names.assets, names.settlements}
    single = {names.runs, names.settlements, names.gaps}
    declared = [
        Topic(name, "a test's", "any", None, (), (), kept, 1 if name in single else PARTITIONS)
        for name in names.names
        for kept in [None if name in compacted else timedelta(days=1)]
    ]
    await ensure_topics(connection, declared)
    return names


def raw_tick(
    source_id: str,
    symbol: str,
    *,
    price: str = "1.5",
    rank: int | None = None,
    at: datetime = NOW,
    run_id: UUID = RUN,
    name: str | None = None,
    **fields: Any,
) -> RawTickFrame:
    """A tick of CoinGecko."""
    more = "".join(f', "{key}": {json.dumps(value)}' for key, value in fields.items())
    payload = (
        f'{{"id": "{source_id}", "symbol": "{symbol}", "name": "{name or source_id}", "current_price": {price}, '
        f'"market_cap_rank": {"null" if rank is None else rank}, "last_updated": "{at.isoformat()}"{more}}}'
    ).encode()
    return RawTickFrame(
        tick_id=tick_id_of("coingecko", source_id, payload),
        source="coingecko",
        source_id=source_id,
        asset_uid=symbol.lower(),
        run_id=run_id,
        fetched_at=at,
        source_updated_at=at,
        payload=msgspec.Raw(payload),
    )


def record_of(topic: str, frame: RawTickFrame) -> Record:
    return Record(topic, frame.asset_uid.encode(), encode_raw_tick(frame))


def event_record(topic: str, event: RunEvent) -> Record:
    return Record(topic, str(event.run_id).encode(), RUN_EVENT.dump_json(event))


@asynccontextmanager
async def normalizer_running(
    connection: KafkaConnection,
    database_url: str,
    topics: Topics,
    *,
    chunk_records: int = 5_000,
    health: Health | None = None,
    meters: Meters | None = None,
) -> AsyncIterator[asyncio.Task[None]]:
    limits = Limits(chunk_records=chunk_records, retry_ceiling=timedelta(seconds=0.5))
    running = run_normalizer(connection, database_url, SystemClock(), topics=topics, limits=limits, health=health, meters=meters)
    task = asyncio.create_task(running)
    try:
        yield task
    finally:
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)


async def start_process(connection: KafkaConnection, database_url: str, topics: Topics) -> asyncio.subprocess.Process:
    """A whole worker in a process of its own, to be killed."""
    arguments = json.dumps(
        {
            "bootstrap_servers": connection.bootstrap_servers,
            "database_url": database_url,
            "topics": {
                "raw": dict(topics.raw),
                "assets": topics.assets,
                "dead_letters": topics.dead_letters,
                "runs": topics.runs,
                "settlements": topics.settlements,
                "gaps": topics.gaps,
                "group": topics.group,
                "partitions": topics.partitions,
            },
        }
    )
    return await asyncio.create_subprocess_exec(sys.executable, "-m", "tests.integration.normalizer.worker", arguments)


async def read_all(connection: KafkaConnection, topic: str, enough: Callable[[Sequence[TopicRecord]], bool]) -> list[TopicRecord]:
    """Read a topic from its beginning until there is enough."""
    found: list[TopicRecord] = []
    async with open_tail(connection, topic, start=Start.BEGINNING) as tail:

        async def seen() -> bool:
            while some := await tail.read(0.1):  # as long as more comes: a read brings a hundred at most
                found.extend(some)
            return enough(found)

        await eventually(seen, f"enough records in {topic}")
    return found


def latest(records: Sequence[TopicRecord]) -> Mapping[str, bytes | None]:
    """What compaction would keep."""
    return {(record.key or b"").decode(): record.value for record in records}


async def count(pool: Pool, table: str) -> int:
    return int(await pool.fetchval(f"SELECT count(*) FROM {table}"))  # noqa: S608 - a test's constant


def counting(pool: Pool, table: str, wanted: int) -> Callable[[], Awaitable[bool]]:
    async def reached() -> bool:
        return await count(pool, table) >= wanted

    return reached
