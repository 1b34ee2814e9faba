"""Starting the servers that are not named elsewhere, with their topics and tables, as fast as the machine allows."""

import asyncio
import sys

from jgo.constants import MAVEN_CENTRAL_URL

from libs.contracts.topics import TOPICS
from libs.devstack.broker import Jars, start_broker
from libs.devstack.database import start_database
from libs.devstack.jars import fetch_jars
from libs.kafka.admin import ensure_topics
from libs.kafka.connection import KafkaConnection
from libs.postgres.pool import open_pool
from libs.postgres.schema import missing_migrations, required_version
from services.cli.screen import Step
from services.cli.settings import ROOT
from services.cli.stack import Stack

STATEMENT_SECONDS = 10.0


class MigrationFailedError(Exception):
    """`kasparro migrate` did not succeed; the message has what it said."""


async def start_servers(stack: Stack) -> None:
    """Return when Kafka has its topics and Postgres its tables."""
    async with asyncio.TaskGroup() as tasks:
        tasks.create_task(_kafka(stack))
        tasks.create_task(_postgres(stack))


async def _kafka(stack: Stack) -> None:
    if not stack.settings.kafka_bootstrap_servers:
        with stack.screen.step("Kafka") as step:
            stack.jars = await _jars(stack, step)
            stack.broker = await start_broker(
                stack.nursery, stack.jars, stack.folder.kafka, port=stack.settings.kasparro_kafka_port
            )
            step.done_as(stack.broker.bootstrap_servers)
    with stack.screen.step("Topics") as step:
        servers = stack.bootstrap_servers or ""
        report = await ensure_topics(KafkaConnection(servers, "kasparro-up"), TOPICS)
        step.done_as(f"{len(report.created)} created, {len(report.existing)} there")
    for difference in report.differences:
        stack.screen.warn(difference.explanation)


async def _jars(stack: Stack, step: Step) -> Jars:
    paths = await fetch_jars(
        ROOT / "kafka.lock",
        ROOT / ".tools" / "kafka",
        repository_url=stack.settings.maven_repository_url or MAVEN_CENTRAL_URL,
        progress=lambda done, of: step.tell(f"fetched {done} of {of} jars"),
    )
    return Jars.of(paths)


async def _postgres(stack: Stack) -> None:
    if not stack.settings.database_url:
        with stack.screen.step("Postgres") as step:
            stack.database = await start_database(
                stack.nursery, stack.folder.postgres, port=stack.settings.kasparro_postgres_port
            )
            step.done_as(f"127.0.0.1:{stack.database.port}")
    with stack.screen.step("Tables") as step:
        url = stack.database_url or ""
        missing = await _missing(url)
        if missing:
            await _migrate(stack, url)
        step.done_as(f"{len(missing)} migrations applied, at {required_version()}")


async def _missing(database_url: str) -> list[str]:
    opened = open_pool(database_url, application="kasparro-up", connections=1, statement_seconds=STATEMENT_SECONDS)
    async with opened as pool, pool.acquire() as connection:
        return await missing_migrations(connection)


async def _migrate(stack: Stack, database_url: str) -> None:
    """In a process of its own: it may wait long for another's lock, and can be stopped while it does."""
    command = [sys.executable, "-m", "services.cli", "migrate"]
    environment = {**stack.environment, "DATABASE_URL": database_url}
    child = stack.nursery.start("migrate", command, log=stack.folder.log("migrate"), environment=environment, folder=ROOT)
    await child.until_ended()
    stack.nursery.forget(child)
    if child.process.returncode:
        raise MigrationFailedError(f"the database cannot be migrated:\n{child.last_words()}")
