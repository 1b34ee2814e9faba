"""Starting everything, each part as soon as what it needs is there.

Drivers are imported where they are needed, while the broker boots: on a warm start the imports are most of the time.
"""

import asyncio
import sys
from importlib import import_module

from libs.contracts.topics import TOPICS
from libs.devstack.broker import Jars, start_broker
from libs.devstack.database import start_database
from libs.devstack.jars import fetch_jars
from libs.devstack.ports import LOOPBACK
from libs.kafka.connection import KafkaConnection
from services.cli.errors import MigrationFailedError
from services.cli.parts import QUERY, SANDBOX
from services.cli.screen import Step
from services.cli.settings import ROOT
from services.cli.stack import Stack

NAMED_BROKER_SECONDS = 10.0
"""How long a broker that the environment names may take to answer: it is up, or its name is wrong."""


async def start_everything(stack: Stack) -> None:
    """Return when everything runs, each part started as soon as what it needs is there."""
    async with asyncio.TaskGroup() as tasks:
        tasks.create_task(_kafka(stack))
        tasks.create_task(_postgres(stack))
        if stack.stood_in_for:
            stack.start_services([SANDBOX])
    stack.start_services([name for name in stack.parts.services if name != QUERY])


async def _kafka(stack: Stack) -> None:
    if not stack.settings.kafka_bootstrap_servers:
        with stack.screen.step("Kafka") as step:
            stack.jars = await _jars(stack, step)
            starting = start_broker(stack.nursery, stack.jars, stack.folder.kafka, port=stack.kafka_port)
            broker, _ = await asyncio.gather(starting, asyncio.to_thread(import_module, "libs.kafka.admin"))
            stack.broker = broker
            stack.watch(broker.child)
            step.done_as(stack.bootstrap_servers)
    from libs.kafka.admin import ensure_topics, wait_until_reachable

    connection = KafkaConnection(stack.bootstrap_servers, "kasparro-up", security=stack.settings.kafka_security())
    if not stack.broker:
        with stack.screen.step("Kafka") as step:
            step.tell(f"waiting for the broker at {stack.bootstrap_servers}")
            await wait_until_reachable(connection, timeout_seconds=NAMED_BROKER_SECONDS)
            step.done_as(stack.bootstrap_servers)
    with stack.screen.step("Topics") as step:
        report = await ensure_topics(connection, TOPICS)
        step.done_as(f"{len(report.created)} created, {len(report.existing)} there")
    for difference in report.differences:
        stack.screen.warn(difference.explanation)


async def _jars(stack: Stack, step: Step) -> Jars:
    paths = await fetch_jars(
        ROOT / "kafka.lock",
        ROOT / stack.settings.kasparro_tools / "kafka",
        repository_url=stack.settings.maven_repository_url,
        progress=lambda done, of: step.tell(f"fetched {done} of {of} jars"),
    )
    return Jars.of(paths)


async def _postgres(stack: Stack) -> None:
    if not stack.settings.database_url:
        with stack.screen.step("Postgres") as step:
            stack.database = await start_database(
                stack.nursery, stack.folder.postgres, port=stack.settings.kasparro_postgres_port
            )
            stack.watch(stack.database.child)
            step.done_as(f"{LOOPBACK}:{stack.database.port}")
    from libs.postgres.access import knock
    from libs.postgres.schema import missing_in, required_migrations

    with stack.screen.step("Tables") as step:
        url = stack.database_url or ""
        await knock(url, application="kasparro-up")
        required, missing = required_migrations(), await missing_in(url, application="kasparro-up")
        if missing:
            await _migrate(stack, url)
        step.done_as(f"{len(missing)} migrations applied, {len(required) - len(missing)} there")
    if stack.parts.query:
        stack.start_services([QUERY])


async def _migrate(stack: Stack, database_url: str) -> None:
    """In a process of its own: it may wait long for another's lock, and can be stopped while it does."""
    command = [sys.executable, "-m", "services.cli", "migrate"]
    environment = {**stack.environment, "DATABASE_URL": database_url}
    child = stack.nursery.start("migrate", command, log=stack.folder.log("migrate"), environment=environment, folder=ROOT)
    await child.until_ended()
    stack.nursery.forget(child)
    if child.process.returncode:
        raise MigrationFailedError(f"the database cannot be migrated:\n{child.last_words()}")
