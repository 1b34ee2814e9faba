"""A real broker and a real Postgres for every test that asks, started once a session, each with its own ports and folder.

KAFKA_BOOTSTRAP_SERVERS and DATABASE_URL name others. What is missing fails the test that needs it; nothing is skipped.
`make test` divides the tests among processes, each a session with a broker and a Postgres of its own.
"""

import asyncio
import fcntl
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from urllib.parse import urlsplit
from uuid import uuid4

import psycopg
import pytest
from hypothesis import settings
from psycopg import sql

from libs.devstack.broker import Jars, start_broker
from libs.devstack.children import Nursery
from libs.devstack.database import FORGETFUL, start_database
from libs.devstack.jars import fetch_jars
from libs.postgres.migrations import migrate

ROOT = Path(__file__).parents[1]
TOOLS = ROOT / ".tools" / "kafka"
MOST_WORKERS = 6

settings.register_profile("kasparro", deadline=None)  # how long an example takes tells of the machine's other work
settings.load_profile("kasparro")


def pytest_xdist_auto_num_workers() -> int:
    """One more than there are processors: most of the slow tests wait. Each takes about 700 MB with its broker and database."""
    return min(MOST_WORKERS, len(os.sched_getaffinity(0)) + 1)


@contextmanager
def one_session_at_a_time(tools: Path = TOOLS) -> Iterator[None]:
    """Hold what all sessions share, so that one fetches or trains while the others wait, and then find it there."""
    tools.mkdir(parents=True, exist_ok=True)
    with (tools / ".lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield


@pytest.fixture(scope="session")
def nursery() -> Iterator[Nursery]:
    """Whatever happens to this process, its children end and its folders go."""
    with Nursery() as nursery:
        yield nursery


@pytest.fixture(scope="session")
def session_folder(nursery: Nursery) -> Iterator[Path]:
    with nursery.temporary_folder("kasparro-test-") as folder:
        yield folder


@pytest.fixture(scope="session")
def kafka_jars() -> Jars:
    repository = os.environ.get("MAVEN_REPOSITORY_URL")
    with one_session_at_a_time():
        return Jars.of(asyncio.run(fetch_jars(ROOT / "kafka.lock", TOOLS, repository_url=repository)))


@pytest.fixture(scope="session")
def kafka_bootstrap_servers(request: pytest.FixtureRequest, nursery: Nursery, session_folder: Path) -> Iterator[str]:
    """A broker for the session: take topics and groups of your own names."""
    if named := os.environ.get("KAFKA_BOOTSTRAP_SERVERS"):
        yield named
        return
    jars: Jars = request.getfixturevalue("kafka_jars")
    broker = asyncio.run(start_broker(nursery, jars, session_folder / "kafka"))
    yield broker.bootstrap_servers
    broker.child.reap()


@pytest.fixture(scope="session")
def postgres_server_url(nursery: Nursery, session_folder: Path) -> Iterator[str]:
    """A Postgres for the session, by the URL of a database from which others are made."""
    if named := os.environ.get("DATABASE_URL"):
        yield named
        return
    database = asyncio.run(start_database(nursery, session_folder / "postgres", settings=FORGETFUL))
    yield database.url("postgres")
    database.child.reap()


@pytest.fixture(scope="session")
def migrated_template(postgres_server_url: str) -> Iterator[str]:
    """The name of a migrated database that nobody connects to."""
    name = create_database(postgres_server_url, template="template1")
    migrate(_url_of(postgres_server_url, name))
    yield name
    _drop(postgres_server_url, name)


@pytest.fixture
def database_url(postgres_server_url: str, migrated_template: str) -> Iterator[str]:
    """A fresh, migrated database, dropped after the test, whoever is still connected."""
    name = create_database(postgres_server_url, template=migrated_template)
    yield _url_of(postgres_server_url, name)
    _drop(postgres_server_url, name)


@pytest.fixture
def empty_database_url(postgres_server_url: str) -> Iterator[str]:
    """A fresh database without a table, dropped after the test."""
    name = create_database(postgres_server_url, template="template1")
    yield _url_of(postgres_server_url, name)
    _drop(postgres_server_url, name)


def create_database(server_url: str, *, template: str) -> str:
    """Make a database like the template, under a name that nobody has; return the name."""
    name = f"kasparro_test_{uuid4().hex}"
    statement = sql.SQL("CREATE DATABASE {} TEMPLATE {} STRATEGY file_copy").format(
        sql.Identifier(name), sql.Identifier(template)
    )
    with psycopg.connect(server_url, autocommit=True) as connection:
        connection.execute(statement)
    return name


def _drop(server_url: str, name: str) -> None:
    with psycopg.connect(server_url, autocommit=True) as connection:
        connection.execute(sql.SQL("DROP DATABASE IF EXISTS {} WITH (FORCE)").format(sql.Identifier(name)))


def _url_of(server_url: str, name: str) -> str:
    return urlsplit(server_url)._replace(path=f"/{name}").geturl()
