import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from datetime import timedelta
from uuid import uuid4

import pytest
from aiokafka.admin import AIOKafkaAdminClient
from aiokafka.errors import GroupCoordinatorNotAvailableError, GroupLoadInProgressError, NotCoordinatorForGroupError

from libs.contracts.topics import Topic
from libs.kafka.admin import ensure_topics
from libs.kafka.connection import KafkaConnection
from libs.kafka.publishing import Publisher, open_publisher
from libs.streaming.agents import Chunks, add_agent, create_chunk_app, log_gap, run_app
from libs.streaming.chunks import Chunk
from libs.streaming.fetching import OnGap

DEADLINE_SECONDS = 60.0

MakeTopic = Callable[..., Awaitable[Topic]]


@dataclass
class Handled:
    """What an agent was given, in order."""

    chunks: list[Chunk] = field(default_factory=list)

    @property
    def values(self) -> list[bytes | None]:
        return [record.value for chunk in self.chunks for record in chunk.records]


async def eventually(holds: Callable[[], bool | Awaitable[bool]], what: str, seconds: float = DEADLINE_SECONDS) -> None:
    """Wait until it holds, or fail with what did not come true."""
    try:
        async with asyncio.timeout(seconds):
            while True:
                held = holds()
                if held if isinstance(held, bool) else await held:
                    return
                await asyncio.sleep(0.02)
    except TimeoutError:
        pytest.fail(f"not within {seconds} s: {what}")


@pytest.fixture
def connection(kafka_bootstrap_servers: str) -> KafkaConnection:
    return KafkaConnection(kafka_bootstrap_servers, "test")


@pytest.fixture
async def publisher(connection: KafkaConnection) -> AsyncIterator[Publisher]:
    async with open_publisher(connection) as publisher:
        yield publisher


@pytest.fixture
def group() -> str:
    return f"group-{uuid4().hex}"


@pytest.fixture
def make_topic(connection: KafkaConnection) -> MakeTopic:
    async def make(partitions: int = 1, kept: timedelta | None = timedelta(days=1)) -> Topic:
        topic = Topic(f"t{uuid4().hex}", "a test's", "any", None, ("test",), ("test",), kept=kept, partitions=partitions)
        await ensure_topics(connection, [topic])
        return topic

    return make


async def committed(connection: KafkaConnection, group: str) -> Mapping[tuple[str, int], int]:
    """The group's checkpoints; none while the broker has nobody who would know."""
    admin = AIOKafkaAdminClient(**connection.options())
    await admin.start()
    try:
        offsets = await admin.list_consumer_group_offsets(group)
        return {(place.topic, place.partition): held.offset for place, held in offsets.items()}
    except (GroupCoordinatorNotAvailableError, GroupLoadInProgressError, NotCoordinatorForGroupError):
        return {}
    finally:
        await admin.close()


@asynccontextmanager
async def agent_running(
    connection: KafkaConnection,
    group: str,
    topics: list[str],
    work: Callable[[Chunks], Awaitable[None]],
    *,
    chunk_records: int = 5_000,
    on_gap: OnGap = log_gap,
) -> AsyncIterator[asyncio.Task[None]]:
    app = create_chunk_app(connection, group, chunk_records=chunk_records, on_gap=on_gap)
    add_agent(app, "work", topics, work)
    task = asyncio.create_task(run_app(app))
    try:
        yield task
    finally:
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)


def handling(handled: Handled, *, acknowledge: bool = True) -> Callable[[Chunks], Awaitable[None]]:
    """Work that notes what it was given."""

    async def work(chunks: Chunks) -> None:
        async for chunk in chunks.unacknowledged():
            handled.chunks.append(chunk)
            if acknowledge:
                chunks.acknowledge(chunk)

    return work
