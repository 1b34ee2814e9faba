"""The whole stack on one machine: started as soon as what each part needs is there, watched, and stopped in order."""

import asyncio
import os
import time
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field

from libs.devstack.broker import Broker, Jars
from libs.devstack.children import Child, Nursery
from libs.devstack.database import Database
from libs.devstack.errors import StateError
from libs.devstack.ports import LOOPBACK, free_port, url_of
from libs.devstack.state import FEW_BYTES, Addresses, Kind, StateFolder, check_room, write_addresses
from services.cli.errors import ServerDiedError
from services.cli.log_lines import LogTail, show
from services.cli.parts import NORMALIZER, QUERY, SANDBOX, Parts
from services.cli.providers import Provider, sandbox_environment
from services.cli.screen import Screen
from services.cli.settings import UpSettings
from services.cli.supervising import Service, keep_running

STOP_SECONDS = 9.0
"""All of it; a part that takes longer than its share is killed."""

SHARE_SECONDS = 3.0
DISK_SECONDS = 5.0
IMPATIENT_SECONDS = 1.0
"""A second signal this soon is the same wish, sent twice (make and a terminal both pass it on)."""


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
    tasks: asyncio.TaskGroup
    kafka_port: int = field(default_factory=free_port)
    sandbox_port: int = field(default_factory=free_port)
    normalizer_port: int = field(default_factory=free_port)
    """Of the normalizer's health: a fixed one would let only one stack run on a machine."""
    jars: Jars | None = None
    broker: Broker | None = None
    database: Database | None = None
    services: dict[str, Service] = field(default_factory=dict)

    @property
    def bootstrap_servers(self) -> str:
        """Ours, up or not yet, or the one that the environment names."""
        return self.settings.kafka_bootstrap_servers or f"{LOOPBACK}:{self.kafka_port}"

    @property
    def database_url(self) -> str | None:
        """Ours, or the one that the environment names."""
        named = self.settings.database_url
        return self.database.url() if self.database else named.get_secret_value() if named else None

    @property
    def api_url(self) -> str:
        """Where the HTTP API is for somebody on this machine."""
        return url_of(self.settings.host, self.settings.port)

    @property
    def is_sandbox(self) -> bool:
        """Whether the data are made up."""
        return self.folder.kind is Kind.SANDBOX

    def say_where(self) -> None:
        """Leave the addresses for the other commands."""
        addresses = Addresses(os.getpid(), self.bootstrap_servers, self.database_url, self.api_url, self.is_sandbox)
        write_addresses(self.folder.root, addresses)

    def start_services(self, names: Sequence[str]) -> None:
        """Keep these running from now on; `stop` stops them."""
        for name in names:
            service = self.services[name] = Service(name, self._environment_of(name), self.folder.log(name))
            self.tasks.create_task(keep_running(service, self.nursery, self.screen), name=name)

    def follow_logs(self, *, everything: bool) -> None:
        """Show what the services have to say from now on. Before everything runs they can only say that it does not."""
        tails = [LogTail.from_now(name, service.log) for name, service in self.services.items()]
        self.tasks.create_task(show(tails, self.screen, everything=everything), name="logs")

    def watch(self, server: Child) -> None:
        """End everything when the server ends."""
        self.tasks.create_task(self._watch(server), name=server.name)

    def _environment_of(self, name: str) -> Mapping[str, str]:
        found = {**self.environment, "LOG_FORMAT": "json", "KASPARRO_SANDBOX_DATA": str(self.is_sandbox).lower()}
        found["KAFKA_BOOTSTRAP_SERVERS"] = self.bootstrap_servers
        if self.database_url:
            found["DATABASE_URL"] = self.database_url
        if name == QUERY:
            found |= {"HOST": self.settings.host, "PORT": str(self.settings.port)}
        if name == NORMALIZER:
            found = {"NORMALIZER_HEALTH_PORT": str(self.normalizer_port)} | found
        if name == SANDBOX:
            found |= {"HOST": LOOPBACK, "PORT": str(self.sandbox_port)}
        elif self.stood_in_for:
            found |= sandbox_environment(self.stood_in_for, self.sandbox_port)
        return found

    async def watch_disk(self) -> None:
        """Warn before the disk is full, once each time that it comes to that."""
        warned = False
        while True:
            try:
                check_room(self.folder.root, needed=FEW_BYTES)
                warned = False
            except StateError as error:
                if not warned:
                    self.screen.warn(str(error))
                warned = True
            await asyncio.sleep(DISK_SECONDS)

    async def _watch(self, server: Child) -> None:
        await server.until_ended()
        try:
            check_room(self.folder.root, needed=FEW_BYTES)
            advice = "Start again: it goes on from what was stored."
        except StateError as error:
            advice = str(error)
        raise ServerDiedError(
            f"{server.name} died (exit code {server.process.returncode}), so everything was stopped. {advice} "
            f"Its log is {server.log} and ends so:\n{server.last_words()}"
        )

    async def stop(self) -> None:
        """Stop everything in order: producers, normalizer, query, sandbox, then the servers. What hangs is killed."""
        running = {name: service.child for name, service in self.services.items() if service.child}
        servers = [server.child for server in (self.broker, self.database) if server]
        first = [running[name] for name in self.parts.producers if name in running]
        later = [[running[name]] for name in (*self.parts.services, SANDBOX) if name in running and running[name] not in first]
        stages = [stage for stage in (first, *later, servers) if any(child.is_running for child in stage)]
        if stages:
            with self.screen.step("Stopped"):
                deadline = time.monotonic() + STOP_SECONDS
                for stage in stages:
                    await _stop(stage, min(SHARE_SECONDS, deadline - time.monotonic()), self.screen)


async def _stop(children: Sequence[Child], seconds: float, screen: Screen) -> None:
    for child in children:
        child.ask_to_stop()
    with suppress(TimeoutError):
        async with asyncio.timeout(seconds):
            for child in children:
                await child.until_ended()
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
