"""The suite's own broker and database: killed, started again on the same ports, with the same data."""

import asyncio
from dataclasses import dataclass, field
from pathlib import Path

import psutil

from libs.devstack.broker import Broker, Jars, start_broker
from libs.devstack.children import Child, Nursery
from libs.devstack.database import Database, start_database
from libs.devstack.errors import BrokerError, DatabaseError
from libs.devstack.ports import LOOPBACK, free_port

START_SECONDS = 60.0
RETRY_SECONDS = 0.2


@dataclass(slots=True)
class Servers:
    """A broker and a Postgres whose addresses outlive them. Postgres keeps its promises (fsync on): it will be killed."""

    nursery: Nursery
    jars: Jars
    folder: Path
    kafka_port: int = field(default_factory=free_port)
    postgres_port: int = field(default_factory=free_port)
    broker: Broker | None = None
    database: Database | None = None

    @property
    def bootstrap_servers(self) -> str:
        return f"{LOOPBACK}:{self.kafka_port}"

    @property
    def database_url(self) -> str:
        assert self.database is not None, "the database has never been started"
        return self.database.url()

    async def start(self) -> None:
        async with asyncio.TaskGroup() as tasks:
            tasks.create_task(self.start_broker())
            tasks.create_task(self.start_database())

    async def start_broker(self) -> None:
        async with asyncio.timeout(START_SECONDS):
            while True:
                try:
                    self.broker = await start_broker(self.nursery, self.jars, self.folder / "kafka", port=self.kafka_port)
                except BrokerError:  # its controller's port is a free one of a moment ago
                    await asyncio.sleep(RETRY_SECONDS)
                else:
                    return

    async def start_database(self) -> None:
        async with asyncio.timeout(START_SECONDS):
            while True:
                try:
                    self.database = await start_database(
                        self.nursery, self.folder / "postgres", port=self.postgres_port, settings={"max_connections": "200"}
                    )
                except DatabaseError:  # backends of the killed server may still hold its memory
                    await asyncio.sleep(RETRY_SECONDS)
                else:
                    return

    def kill_broker(self) -> None:
        """SIGKILL: nothing is flushed, no client is told."""
        assert self.broker is not None
        self._kill(self.broker.child)

    def kill_database(self) -> None:
        """SIGKILL to the postmaster and to every backend: the next start recovers from the log."""
        assert self.database is not None
        backends = psutil.Process(self.database.child.process.pid).children(recursive=True)
        self._kill(self.database.child)
        for backend in backends:
            if backend.is_running():
                backend.kill()

    def _kill(self, child: Child) -> None:
        assert child.is_running, f"{child.name} had died before it was killed:\n{child.last_words()}"
        child.reap()
        self.nursery.forget(child)
