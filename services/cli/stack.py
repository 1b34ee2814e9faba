"""The whole stack on one machine: started as soon as what each part needs is there, watched, and stopped in order."""

import asyncio
import os
import time
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field

from libs.devstack.broker import Broker, Jars
from libs.devstack.children import Child, Nursery
from libs.devstack.database import Database
from libs.devstack.ports import LOOPBACK, free_port
from libs.devstack.state import Addresses, Kind, StateFolder, write_addresses
from services.cli.log_lines import LogTail, show
from services.cli.parts import QUERY, SANDBOX, Parts
from services.cli.providers import Provider, sandbox_environment
from services.cli.screen import Screen
from services.cli.settings import UpSettings
from services.cli.supervising import Service, keep_running

WATCH_SECONDS = 0.2
STOP_SECONDS = 9.0
"""All of it; a part that takes longer than its share is killed."""

SHARE_SECONDS = 3.0
IMPATIENT_SECONDS = 1.0
"""A second signal this soon is the same wish, sent twice (make and a terminal both pass it on)."""


class ServerDiedError(Exception):
    """The embedded broker or database ended while it was needed."""


@dataclass(slots=True)
class Stack:
    """What runs, or ran."""

    settings: UpSettings
    parts: Parts
    folder: StateFolder
    stood_in_for: tuple[Provider, ...]
    nursery: Nursery
    screen: Screen
    environment: Mapping[str, str]
    jars: Jars | None = None
    broker: Broker | None = None
    database: Database | None = None
    services: dict[str, Service] = field(default_factory=dict)

    @property
    def bootstrap_servers(self) -> str | None:
        """Ours, or the one that the environment names."""
        return self.broker.bootstrap_servers if self.broker else self.settings.kafka_bootstrap_servers

    @property
    def database_url(self) -> str | None:
        """Ours, or the one that the environment names."""
        named = self.settings.database_url
        return self.database.url() if self.database else named.get_secret_value() if named else None

    @property
    def api_url(self) -> str:
        """Where the HTTP API is for somebody on this machine."""
        host = LOOPBACK if self.settings.host in {"0.0.0.0", "::"} else self.settings.host
        return f"http://{host}:{self.settings.port}"

    @property
    def is_sandbox(self) -> bool:
        """Whether the data are made up."""
        return self.folder.kind is Kind.SANDBOX

    def say_where(self) -> None:
        """Leave the addresses for the other commands."""
        addresses = Addresses(os.getpid(), self.bootstrap_servers, self.database_url, self.api_url, self.is_sandbox)
        write_addresses(self.folder.root, addresses)

    @asynccontextmanager
    async def running_services(self, *, verbose: bool) -> AsyncIterator[None]:
        """Keep the services running and the servers watched while the body runs; leave the stopping to `stop`."""
        self._plan_services()
        tails = [LogTail(name, service.log) for name, service in self.services.items()]
        for tail in tails:
            tail.skip_what_is_there()
        async with asyncio.TaskGroup() as tasks:
            background = [tasks.create_task(show(tails, self.screen, everything=verbose), name="logs")]
            background += [tasks.create_task(self._watch(child)) for child in self._servers()]
            background += [
                tasks.create_task(keep_running(service, self.nursery, self.screen), name=service.name)
                for service in self.services.values()
            ]
            yield
            for task in background:
                task.cancel()

    def _plan_services(self) -> None:
        common = {**self.environment, "LOG_FORMAT": "json", "KASPARRO_SANDBOX_DATA": str(self.is_sandbox).lower()}
        if self.bootstrap_servers:
            common["KAFKA_BOOTSTRAP_SERVERS"] = self.bootstrap_servers
        if self.database_url:
            common["DATABASE_URL"] = self.database_url
        if self.stood_in_for:
            port = free_port()
            self._plan(SANDBOX, {**common, "HOST": LOOPBACK, "PORT": str(port)})
            common |= sandbox_environment(self.stood_in_for, port)
        for name in self.parts.services:
            own = {"HOST": self.settings.host, "PORT": str(self.settings.port)} if name == QUERY else {}
            self._plan(name, {**common, **own})

    def _plan(self, name: str, environment: Mapping[str, str]) -> None:
        self.services[name] = Service(name, environment, self.folder.log(name))

    def _servers(self) -> list[Child]:
        return [server.child for server in (self.broker, self.database) if server]

    async def _watch(self, server: Child) -> None:
        await server.until_ended()
        raise ServerDiedError(
            f"{server.name} died (exit code {server.process.returncode}), so everything stops. Its log is {server.log}:\n"
            f"{server.last_words()}\nIf the disk is full, free some; else start again: it goes on from what was stored."
        )

    async def stop(self) -> None:
        """Stop everything in order: producers, normalizer, query, sandbox, then the servers. What hangs is killed."""
        running = {name: service.child for name, service in self.services.items() if service.child}
        first = [running[name] for name in self.parts.producers if name in running]
        later = [[running[name]] for name in (*self.parts.services, SANDBOX) if name in running and running[name] not in first]
        stages = [stage for stage in (first, *later, self._servers()) if any(child.is_running for child in stage)]
        if stages:
            with self.screen.step("Stopped"):
                deadline = time.monotonic() + STOP_SECONDS
                for stage in stages:
                    await _stop(stage, min(SHARE_SECONDS, deadline - time.monotonic()), self.screen)


async def _stop(children: Sequence[Child], seconds: float, screen: Screen) -> None:
    for child in children:
        child.ask_to_stop()
    try:
        async with asyncio.timeout(seconds):
            for child in children:
                await child.until_ended()
    except TimeoutError:
        pass
    for child in children:
        if not child.reap():
            screen.warn(f"{child.name} did not stop in time and was killed")


async def patiently(stopping: asyncio.Task[None]) -> None:
    """Wait for `stopping` even when we are told to stop again at once; being told later means now."""
    started = time.monotonic()
    while not stopping.done():
        try:
            await asyncio.shield(stopping)
        except asyncio.CancelledError:
            if stopping.done() or time.monotonic() - started > IMPATIENT_SECONDS:
                raise
