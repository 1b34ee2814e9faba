"""Topics as declared: created on purpose by `kasparro topics`, never as a side effect, and compared with what is there."""

import asyncio
import time
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Any

from aiokafka import errors
from aiokafka.admin import AIOKafkaAdminClient, NewTopic
from aiokafka.admin.config_resource import ConfigResource, ConfigResourceType

from libs.contracts.topics import SEGMENT_LASTS, Topic
from libs.kafka.access import knock
from libs.kafka.clients import close_admin
from libs.kafka.connection import KafkaConnection
from libs.kafka.errors import KafkaUnreachableError, is_outage

LOOK_SECONDS = 0.05


COMPACTION = {"segment.bytes": "33554432", "segment.ms": "3600000", "min.cleanable.dirty.ratio": "0.1"}
"""Whoever starts reads a compacted topic whole. By default a segment grows to 1 GiB before it is compacted at all, a week of
cursors; these keep it near what it holds."""

BROKERS_CLOCK = {"message.timestamp.type": "LogAppendTime"}
"""Records are kept by their age, and by its sender's clock one may be refused (ahead) or deleted at once (far behind)."""


class TopicsError(Exception):
    """A topic could not be created; the message says which and why."""


@dataclass(frozen=True, slots=True)
class Difference:
    """Something about an existing topic that is not as declared. Nothing here changes it: see `explanation`."""

    topic: str
    setting: str
    declared: str
    found: str

    @property
    def explanation(self) -> str:
        """One line for an operator."""
        return f"{self.topic}: {self.setting} is {self.found}, declared {self.declared}"


@dataclass(frozen=True, slots=True)
class TopicReport:
    """What was made, what was there, and what differs from its declaration."""

    created: tuple[str, ...]
    existing: tuple[str, ...]
    differences: tuple[Difference, ...]


async def ensure_topics(
    connection: KafkaConnection,
    topics: Sequence[Topic],
    *,
    replication_factor: int = 1,
    timeout_seconds: float = 30.0,
    dry_run: bool = False,
) -> TopicReport:
    """Create what is missing, wait until every partition has a leader, and compare what was there.

    Safe to repeat, and for several processes at a time. A broker that is away is waited for until `timeout_seconds`.
    """
    deadline = time.monotonic() + timeout_seconds
    async with _admin(connection, deadline) as admin:
        existing = set(await admin.list_topics())
        missing = [topic for topic in topics if topic.name not in existing]
        if not dry_run:
            if missing:
                await _create(admin, missing, replication_factor, timeout_seconds)
            await _until_shown(admin, topics, deadline)
        there = [topic for topic in topics if topic.name in existing]
        differences = await _differences(admin, there) if there else ()
    return TopicReport(tuple(topic.name for topic in missing), tuple(topic.name for topic in there), tuple(differences))


async def wait_until_reachable(connection: KafkaConnection, *, timeout_seconds: float) -> None:
    """Return once the broker answers; KafkaUnreachableError when it does not in time."""
    async with _admin(connection, time.monotonic() + timeout_seconds):
        return


@asynccontextmanager
async def _admin(connection: KafkaConnection, deadline: float) -> AsyncIterator[AIOKafkaAdminClient]:
    await knock(connection)  # the client below takes a refusal for an outage
    admin = AIOKafkaAdminClient(**connection.options())
    try:
        await _connected(admin, connection, deadline)
        yield admin
    finally:
        await close_admin(admin)


async def _connected(admin: AIOKafkaAdminClient, connection: KafkaConnection, deadline: float) -> None:
    while True:
        try:
            async with asyncio.timeout(max(deadline - time.monotonic(), LOOK_SECONDS)):
                await admin.start()
                await admin.describe_cluster()
            return
        except (errors.KafkaError, OSError, TimeoutError) as error:
            if time.monotonic() > deadline:
                raise KafkaUnreachableError(
                    f"no broker answers at {connection.bootstrap_servers}; does it run, and is that where it listens "
                    "(KAFKA_BOOTSTRAP_SERVERS)?"
                ) from error
            if not is_outage(error):
                raise
        await asyncio.sleep(LOOK_SECONDS)


async def _create(admin: AIOKafkaAdminClient, topics: Sequence[Topic], replication_factor: int, timeout_seconds: float) -> None:
    """The answer carries an error a topic and raises none of them."""
    wanted = [NewTopic(topic.name, topic.partitions, replication_factor, topic_configs=topic_config(topic)) for topic in topics]
    answer = await admin.create_topics(wanted, timeout_ms=int(timeout_seconds * 1000))
    failures = [
        f"{name}: {errors.for_code(code).__name__} {message or ''}".strip()
        for name, code, message in answer.topic_errors
        if code not in {0, errors.TopicAlreadyExistsError.errno}
    ]
    if failures:
        raise TopicsError("; ".join(failures))


async def _until_shown(admin: AIOKafkaAdminClient, topics: Sequence[Topic], deadline: float) -> None:
    wanted = {topic.name for topic in topics}
    while time.monotonic() < deadline:
        described = await admin.describe_topics(sorted(wanted))
        if all(_has_leaders(topic) for topic in described):
            return
        await asyncio.sleep(LOOK_SECONDS)
    raise TopicsError(f"not every partition of {', '.join(sorted(wanted))} has a leader yet")


def _has_leaders(described: Mapping[str, Any]) -> bool:
    partitions = described["partitions"]
    return described["error_code"] == 0 and bool(partitions) and all(each["leader"] >= 0 for each in partitions)


def topic_config(topic: Topic) -> dict[str, str]:
    """Kafka's settings of a declared topic."""
    settings = {"cleanup.policy": topic.cleanup, "max.message.bytes": str(topic.largest_message)}
    if topic.kept is None:
        settings |= COMPACTION
    else:
        lasts = {"retention.ms": topic.kept, "segment.ms": SEGMENT_LASTS}
        settings |= {name: str(int(time.total_seconds() * 1000)) for name, time in lasts.items()} | BROKERS_CLOCK
    return settings


async def _differences(admin: AIOKafkaAdminClient, topics: Sequence[Topic]) -> list[Difference]:
    declared = {topic.name: topic for topic in topics}
    found: list[Difference] = []
    for described in await admin.describe_topics(sorted(declared)):
        topic, partitions = declared[described["topic"]], len(described["partitions"])
        if partitions != topic.partitions:
            found.append(Difference(topic.name, "partitions", str(topic.partitions), str(partitions)))
    resources = [ConfigResource(ConfigResourceType.TOPIC, name) for name in sorted(declared)]
    for answer in await admin.describe_configs(resources):
        for _code, _message, _kind, name, entries in answer.resources:
            values = {entry[0]: entry[1] for entry in entries}
            wanted = topic_config(declared[name])
            found += [
                Difference(name, key, value, str(values.get(key))) for key, value in wanted.items() if values.get(key) != value
            ]
    return found
