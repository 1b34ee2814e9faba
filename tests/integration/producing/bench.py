"""Everything a producer test holds in its hands: own topics, replicas to start and kill, runs to ask for, stories to read."""

import asyncio
import json
from collections.abc import AsyncIterator, Iterable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from uuid import UUID, uuid4

import aiohttp
from aiokafka.admin import AIOKafkaAdminClient
from aiokafka.errors import GroupCoordinatorNotAvailableError

from libs.contracts.commands import WHOLE_SOURCE, PollCommand
from libs.contracts.cursors import CURSOR, Cursor, QuotaUsage
from libs.contracts.gaps import GAP, Gap
from libs.contracts.raw_tick import RawTick
from libs.contracts.run_events import RUN_EVENT, RunEvent, RunSkipped, RunStarted, ShardFailed, ShardPublished
from libs.contracts.topics import CURSORS, Topic
from libs.domain.runs import Trigger
from libs.kafka.admin import ensure_topics
from libs.kafka.connection import KafkaConnection
from libs.kafka.publishing import Publisher, open_publisher
from libs.kafka.tailing import Start, TopicRecord, latest_values, open_tail, read_to_end
from libs.process.clock import Clock, SystemClock
from libs.producing.fetching import Fetcher
from libs.producing.messages import command_record
from libs.producing.provider import Provider, open_session
from libs.producing.quota import Budget
from libs.producing.replica import Replica
from libs.producing.topics import ProducerTopics
from libs.sources.source import Source
from tests.integration.kafka.topics import own_topic
from tests.integration.producing.provider_server import ProviderServer, open_provider

DEADLINE_SECONDS = 75.0
UNLIMITED = Budget()


class MovedClock(SystemClock):
    """A clock that a wait moves: nobody sleeps, and `waited` tells what would have been slept."""

    def __init__(self) -> None:
        self.ahead = timedelta(0)
        self.waited: list[float] = []

    def utc(self) -> datetime:
        return datetime.now(UTC) + self.ahead

    def monotonic(self) -> float:
        return super().monotonic() + self.ahead.total_seconds()

    async def sleep(self, seconds: float) -> None:
        self.waited.append(seconds)
        self.ahead += timedelta(seconds=seconds)
        await asyncio.sleep(0)


class Ahead(SystemClock):
    """A clock that is so much later."""

    def __init__(self, by: timedelta) -> None:
        self.by = by

    def utc(self) -> datetime:
        return datetime.now(UTC) + self.by


@dataclass
class Bench:
    """One source under test, with a name and topics that nobody else has."""

    connection: KafkaConnection
    topics: ProducerTopics
    source: str
    server: ProviderServer
    session: aiohttp.ClientSession
    publisher: Publisher
    tasks: asyncio.TaskGroup
    clock: Clock = field(default_factory=SystemClock)

    def provider(self, name: str = "TestProvider") -> Provider:
        return Provider(name, self.server.base_url, "TEST_BASE_URL", "TEST_KEY", self.session, self.clock)

    def named(self, source: Source) -> Source:
        """The same source under this test's own name."""
        return replace(source, name=self.source)

    def replica(self, fetcher: Fetcher, *, budget: Budget = UNLIMITED, interval: timedelta | None = None) -> Replica:
        client = replace(self.connection, client_id=f"replica-{uuid4().hex[:6]}")
        return Replica(fetcher, client, self.topics, budget, interval, self.clock)

    def start(self, fetcher: Fetcher, *, budget: Budget = UNLIMITED, interval: timedelta | None = None) -> asyncio.Task[None]:
        """Start a replica; cancel the task to stop it."""
        return self.tasks.create_task(self.replica(fetcher, budget=budget, interval=interval).run())

    async def joined(self, replicas: int) -> None:
        """Wait until so many replicas share the commands."""
        admin = AIOKafkaAdminClient(**self.connection.options())
        await admin.start()
        try:
            async with asyncio.timeout(DEADLINE_SECONDS):
                while (await _members(admin, f"kasparro-producer-{self.source}")) != ("Stable", replicas):  # noqa: ASYNC110 a broker
                    await asyncio.sleep(0.05)
        finally:
            await admin.close()

    async def command(
        self, *, shard: str = WHOLE_SOURCE, run_id: UUID | None = None, lasts: timedelta = timedelta(minutes=5)
    ) -> UUID:
        """Ask for a run, or for one shard."""
        run_id, now = run_id or uuid4(), self.clock.utc()
        command = PollCommand(
            run_id=run_id, source=self.source, shard=shard, trigger=Trigger.MANUAL, requested_at=now, expires_at=now + lasts
        )
        await self.publisher.publish([command_record(self.topics.commands.name, command)])
        return run_id

    async def run(self) -> "Story":
        """Ask for a run and wait for its story."""
        return await self.story(await self.command())

    async def story(self, run_id: UUID) -> "Story":
        """Wait until every shard of a run has reported, or it was skipped."""
        story = Story()
        async with (
            asyncio.timeout(DEADLINE_SECONDS),
            open_tail(self.connection, self.topics.run_events.name, start=Start.BEGINNING) as tail,
        ):
            async for records in tail:
                for event in map(event_in, records):
                    if event.run_id == run_id:
                        story.events.append(event)
                if story.is_told:
                    return story
        raise AssertionError

    async def stories(self) -> list[RunEvent]:
        return [event_in(record) for record in await read_to_end(self.connection, self.topics.run_events.name)]

    async def ticks(self) -> list[RawTick]:
        """What a committed reader sees of the raw topic."""
        return [RawTick.decode(record.value) for record in await self.raw() if record.value is not None]

    async def raw(self) -> list[TopicRecord]:
        return await read_to_end(self.connection, self.topics.raw.name)

    async def dead_letters(self) -> list[TopicRecord]:
        return await read_to_end(self.connection, self.topics.dead_letters.name)

    async def gaps(self) -> list[Gap]:
        return [GAP.validate_json(record.value or b"") for record in await read_to_end(self.connection, self.topics.gaps.name)]

    async def cursors(self) -> dict[str, Cursor]:
        newest = latest_values(await read_to_end(self.connection, self.topics.cursors.name))
        return {key.decode(): CURSOR.validate_json(value) for key, value in newest.items()}

    async def requests_counted(self) -> int:
        return sum(cursor.month_requests for cursor in (await self.cursors()).values() if isinstance(cursor, QuotaUsage))


@dataclass
class Story:
    """The events of one run, in order."""

    events: list[RunEvent] = field(default_factory=list)

    @property
    def is_told(self) -> bool:
        if any(isinstance(event, RunSkipped) for event in self.events):
            return True
        expected = {shard for event in self.events if isinstance(event, RunStarted) for shard in event.shards}
        reported = {event.shard for event in self.events if isinstance(event, ShardPublished | ShardFailed)}
        return bool(expected) and expected <= reported

    @property
    def published(self) -> list[ShardPublished]:
        return [event for event in self.events if isinstance(event, ShardPublished)]

    @property
    def errors(self) -> list[str]:
        return [event.error for event in self.events if isinstance(event, ShardFailed)]

    @property
    def skipped(self) -> list[str]:
        return [event.reason for event in self.events if isinstance(event, RunSkipped)]

    def counts(self) -> tuple[int, int, int, int]:
        """fetched, unchanged, published, dead-lettered of all shards."""
        counts = [event.counts for event in self.published]
        return (
            sum(count.fetched for count in counts),
            sum(count.unchanged for count in counts),
            sum(count.published for count in counts),
            sum(count.dead_lettered for count in counts),
        )


@asynccontextmanager
async def open_bench(kafka_bootstrap_servers: str) -> AsyncIterator[Bench]:
    connection = KafkaConnection(kafka_bootstrap_servers, "tests", request_timeout_ms=5_000)
    topics = ProducerTopics(
        raw=own_topic("raw", partitions=3),
        commands=own_topic("commands", partitions=3),
        run_events=own_topic("runs"),
        cursors=replace(own_topic("cursors", compacted=True), largest_message=CURSORS.largest_message),
        dead_letters=own_topic("dead-letter"),
        gaps=own_topic("gaps"),
    )
    await ensure_topics(connection, all_of(topics))
    async with open_provider() as server, open_session(server.base_url) as session, open_publisher(connection) as publisher:
        tasks = asyncio.TaskGroup()
        async with tasks:
            yield Bench(connection, topics, f"t{uuid4().hex}", server, session, publisher, tasks)
            for task in list(tasks._tasks):
                task.cancel()


def all_of(topics: ProducerTopics) -> list[Topic]:
    return [topics.raw, topics.commands, topics.run_events, topics.cursors, topics.dead_letters, topics.gaps]


async def _members(admin: AIOKafkaAdminClient, group: str) -> tuple[str, int]:
    try:
        (response,) = await admin.describe_consumer_groups([group])
    except GroupCoordinatorNotAvailableError:
        return "a broker that has just started", 0
    _, _, state, _, _, members, *_ = response.groups[0]
    return state, len(members)


def rows(*several: dict[str, object]) -> str:
    return json.dumps(list(several))


def coins(numbers: Iterable[int], *, price: object = 1) -> list[dict[str, object]]:
    """Rows as CoinGecko sends them."""
    return [
        {
            "id": f"coin-{number}",
            "symbol": f"C{number}",
            "name": f"Coin {number}",
            "current_price": price,
            "last_updated": "2026-01-01T00:00:00Z",
        }
        for number in numbers
    ]


def event_in(record: TopicRecord) -> RunEvent:
    assert record.value is not None
    return RUN_EVENT.validate_json(record.value)
