"""The users of deploy/kubernetes at a real broker that grants what they ask for and nothing else: all of it works."""

import asyncio
import json
import os
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Iterator, Sequence
from itertools import product
from pathlib import Path
from typing import Any, Final, NamedTuple

import pytest
from aiokafka import AIOKafkaConsumer, AIOKafkaProducer, TopicPartition
from aiokafka.admin import AIOKafkaAdminClient
from aiokafka.errors import GroupAuthorizationFailedError, GroupCoordinatorNotAvailableError, TopicAuthorizationFailedError
from aiokafka.protocol.admin import CreateAclsRequest

from libs.contracts.topics import ASSETS_NORMALIZED, DEAD_LETTERS, NORMALIZER_GROUP, SOURCE_TOPICS, TOPICS
from libs.devstack.broker import Jars, start_broker
from libs.devstack.children import Child, Nursery
from libs.devstack.ports import LOOPBACK, free_port
from libs.kafka.admin import ensure_topics
from libs.kafka.connection import KafkaConnection
from libs.kafka.publishing import open_publisher
from libs.kafka.records import Record
from libs.kafka.tailing import read_to_end
from tests.conftest import ROOT
from tests.integration.streaming.conftest import eventually
from tests.unit.kubernetes.test_access import USERS

TYPES: Final = {"topic": 2, "group": 3, "transactionalId": 5}
PATTERNS: Final = {"literal": 3, "prefix": 4}
OPERATIONS: Final = {"Read": 3, "Write": 4, "Create": 5, "Describe": 8, "DescribeConfigs": 10}
ALLOW: Final = 3
"""Kafka's own numbers of these (AclOperation and its neighbours)."""
PATIENCE: Final = 90.0


class Guarded(NamedTuple):
    """A broker with an authorizer. Whoever comes to the open listener may do anything; a user what its KafkaUser says."""

    open: str
    scram: str

    def environment(self, user: str) -> dict[str, str]:
        """What lets a service in as the user."""
        return {
            "KAFKA_BOOTSTRAP_SERVERS": self.scram,
            "KAFKA_SECURITY_PROTOCOL": "SASL_PLAINTEXT",
            "KAFKA_SASL_MECHANISM": "SCRAM-SHA-512",
            "KAFKA_SASL_USERNAME": user,
            "KAFKA_SASL_PASSWORD": f"password-of-{user}",
        }

    def options(self, user: str) -> dict[str, Any]:
        """The same for a client of aiokafka."""
        return {
            "bootstrap_servers": self.scram,
            "security_protocol": "SASL_PLAINTEXT",
            "sasl_mechanism": "SCRAM-SHA-512",
            "sasl_plain_username": user,
            "sasl_plain_password": f"password-of-{user}",
        }


@pytest.fixture(scope="module")
def guarded(nursery: Nursery, kafka_jars: Jars, session_folder: Path) -> Iterator[Guarded]:
    port = free_port()
    listener = f"SCRAM://{LOOPBACK}:{port}"
    settings = {
        "listeners": listener,
        "advertised.listeners": listener,
        "listener.security.protocol.map": "SCRAM:SASL_PLAINTEXT",
        "inter.broker.listener.name": "PLAINTEXT",
        "listener.name.scram.sasl.enabled.mechanisms": "SCRAM-SHA-512",
        "listener.name.scram.scram-sha-512.sasl.jaas.config": "org.apache.kafka.common.security.scram.ScramLoginModule required;",
        "authorizer.class.name": "org.apache.kafka.metadata.authorizer.StandardAuthorizer",
        "super.users": "User:ANONYMOUS",
        "auto.create.topics.enable": "false",
    }
    accounts = [f"SCRAM-SHA-512=[name={user},password=password-of-{user}]" for user in USERS]
    broker = asyncio.run(start_broker(nursery, kafka_jars, session_folder / "guarded-kafka", settings=settings, scram=accounts))
    asyncio.run(grant(broker.bootstrap_servers))
    yield Guarded(broker.bootstrap_servers, f"{LOOPBACK}:{port}")
    broker.child.reap()


class AllRules(CreateAclsRequest):  # type: ignore[misc]  # aiokafka ships no types
    """aiokafka's request takes one rule; the protocol takes all at once."""

    def __init__(self, rules: Sequence[tuple[Any, ...]]) -> None:
        self._rules = rules

    def build(self, request_struct_class: Any) -> Any:
        return request_struct_class(list(self._rules))


async def grant(bootstrap_servers: str) -> None:
    """Write the rules of the KafkaUsers down, as Strimzi's user operator would."""
    rules = [
        (TYPES[what["type"]], what["name"], PATTERNS[what["patternType"]], f"User:{user}", "*", OPERATIONS[operation], ALLOW)
        for user, manifest in USERS.items()
        for rule in manifest["spec"]["authorization"]["acls"]
        for what, operation in product([rule["resource"]], rule["operations"])
    ]
    admin = AIOKafkaAdminClient(bootstrap_servers=bootstrap_servers)
    await admin.start()
    try:
        answer = await admin._send_to_controller(AllRules(rules))
        assert {code for code, _ in answer.creation_responses} == {0}
        await a_coordinator(admin)
    finally:
        await admin.close()


async def a_coordinator(admin: AIOKafkaAdminClient) -> None:
    """Return once groups can be asked for: the broker makes their topic on the first question."""

    async def there() -> bool:
        try:
            await admin.find_coordinator(NORMALIZER_GROUP)
        except GroupCoordinatorNotAvailableError:
            return False
        return True

    await eventually(there, "the groups' coordinator is there", PATIENCE)


class Services:
    """The processes of a test, each as its own user."""

    def __init__(self, nursery: Nursery, guarded: Guarded, database_url: str, folder: Path) -> None:
        self.nursery, self.guarded, self.folder = nursery, guarded, folder
        self.children: list[Child] = []
        self.given = {"DATABASE_URL": database_url, "KASPARRO_STATE": str(folder / "state"), "LOG_FORMAT": "json"}

    def start(self, module: str, user: str, *arguments: str, **variables: str) -> Child:
        """Start one as a user."""
        environment = {**os.environ, **self.given, **self.guarded.environment(user), **variables}
        command = [sys.executable, "-m", module, *arguments]
        child = self.nursery.start(user, command, log=self.folder / f"{user}.log", environment=environment, folder=ROOT)
        self.children.append(child)
        return child

    async def operate(self, *arguments: str) -> str:
        """Run `kasparro` as the operator, to a good end; return what it printed."""
        child = self.start("services.cli", "operator", *arguments)
        async with asyncio.timeout(PATIENCE):
            await child.until_ended()
        assert child.process.returncode == 0, child.last_words()
        return child.log.read_text()

    def check(self) -> None:
        """Fail with the last words of one that has ended, or that was refused something."""
        for child in self.children:
            if child.name != "operator":
                child.check()
            assert "authorized" not in child.log.read_text().lower(), child.last_words()


def answer(url: str, method: str = "GET") -> Any:
    """Ask the API."""
    with urllib.request.urlopen(urllib.request.Request(url, method=method), timeout=PATIENCE) as response:  # noqa: S310 our own
        return json.load(response)


def first_of_stream(url: str) -> str:
    """Return the line that says what the first event behind the greeting is, once the stream takes clients."""
    until = time.monotonic() + PATIENCE
    while True:
        try:
            with urllib.request.urlopen(url, timeout=PATIENCE) as response:  # noqa: S310 our own
                events = (bytes(line) for line in response if line.startswith(b"event: "))
                return next(event.decode() for event in events if b"hello" not in event)
        except urllib.error.HTTPError:
            if time.monotonic() > until:
                raise
            time.sleep(0.2)


@pytest.fixture
def services(nursery: Nursery, guarded: Guarded, database_url: str, tmp_path: Path) -> Iterator[Services]:
    started = Services(nursery, guarded, database_url, tmp_path)
    yield started
    for child in started.children:
        child.reap()


@pytest.mark.timeout(300)
async def test_every_service_works_with_its_own_rights(services: Services, guarded: Guarded) -> None:
    await services.operate("topics")
    port = free_port()
    services.start("services.normalizer", "normalizer", NORMALIZER_HEALTH_PORT="0")
    services.start("services.producers.csv", "producer-csv", PRODUCER_HEALTH_PORT="0", ETL_ENABLED="false")
    services.start("services.query", "query", PORT=str(port))
    api = f"http://{LOOPBACK}:{port}"

    async def served() -> bool:
        services.check()
        try:
            await asyncio.to_thread(answer, f"{api}/ready")
        except OSError:
            return False
        return True

    await eventually(served, "the API is ready", PATIENCE)
    run = await asyncio.to_thread(answer, f"{api}/etl/run/csv", "POST")
    assert (run["status"], run["counts"]["stored"] > 0) == ("succeeded", True), run

    snapshot = f"{api}/data/stream?snapshot=true"
    assert "event: asset" in await asyncio.to_thread(first_of_stream, snapshot)
    assert SOURCE_TOPICS["csv"].raw.name in json.dumps(await asyncio.to_thread(answer, f"{api}/stats/checkpoints"))

    connection = KafkaConnection(guarded.open, "test")
    async with open_publisher(connection) as publisher:
        await publisher.publish([Record(SOURCE_TOPICS["csv"].raw.name, b"k", b"no tick")])

    async def set_aside() -> bool:
        services.check()
        return len(await read_to_end(connection, DEAD_LETTERS.name)) == 1

    await eventually(set_aside, "what is no tick is set aside", PATIENCE)
    assert f"{NORMALIZER_GROUP} is" in await services.operate("lag")
    await services.operate("dead-letters", "list")
    await services.operate("dead-letters", "drop", "--all")
    services.check()


async def test_keda_sees_how_far_groups_are_and_reads_nothing(guarded: Guarded) -> None:
    await ensure_topics(KafkaConnection(guarded.open, "test"), TOPICS)
    place = TopicPartition(SOURCE_TOPICS["csv"].commands.name, 0)
    admin, consumer = AIOKafkaAdminClient(**guarded.options("keda")), AIOKafkaConsumer(**guarded.options("keda"))
    await admin.start()
    await consumer.start()
    try:
        await admin.list_consumer_group_offsets(NORMALIZER_GROUP)
        assert place in await consumer.end_offsets([place])
        consumer.assign([place])
        with pytest.raises(TopicAuthorizationFailedError):
            await asyncio.wait_for(consumer.getone(), PATIENCE)
    finally:
        await consumer.stop()
        await admin.close()


FORBIDDEN: Final[Sequence[tuple[str, str]]] = [
    ("producer-csv", ASSETS_NORMALIZED.name),
    ("producer-csv", SOURCE_TOPICS["coingecko"].raw.name),
    ("normalizer", SOURCE_TOPICS["csv"].raw.name),
    ("query", ASSETS_NORMALIZED.name),
]


async def test_nobody_writes_what_is_another_s(guarded: Guarded) -> None:
    await ensure_topics(KafkaConnection(guarded.open, "test"), TOPICS)
    for user, topic in FORBIDDEN:
        producer = AIOKafkaProducer(**guarded.options(user))
        await producer.start()
        try:
            with pytest.raises(TopicAuthorizationFailedError):
                await producer.send_and_wait(topic, b"forged")
        finally:
            await producer.stop()
    consumer = AIOKafkaConsumer(**guarded.options("query"), group_id=NORMALIZER_GROUP)
    consumer.subscribe([SOURCE_TOPICS["csv"].raw.name])
    with pytest.raises(GroupAuthorizationFailedError):
        await consumer.start()
    await consumer.stop()
