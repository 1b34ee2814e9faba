"""The whole pipeline as processes, under load, and the way back to quiet: what every scenario acts on."""

import asyncio
import json
import random
from collections.abc import AsyncIterator, Awaitable, Callable, Collection
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any
from uuid import UUID

import aiohttp

from libs.contracts.run_events import RunFailed, RunSkipped, RunSucceeded
from libs.contracts.topics import NORMALIZER_GROUP, RUN_EVENTS, SOURCE_TOPICS, TOPICS
from libs.devstack.broker import Jars
from libs.devstack.children import Nursery
from libs.devstack.ports import LOOPBACK, free_port
from libs.kafka.admin import ensure_topics
from libs.kafka.connection import KafkaConnection
from libs.kafka.errors import KafkaUnreachableError
from libs.kafka.lag import open_lag_reader
from libs.postgres.migrations import migrate
from tests.faults import environments
from tests.faults.ledger import Ledger, StuckError
from tests.faults.processes import THIS, Kind, Processes, Release
from tests.faults.provider import Provider
from tests.faults.report import Report
from tests.faults.servers import Servers

POLLED: tuple[Kind, ...] = ("coingecko", "coinpaprika")
SERVICES: tuple[Kind, ...] = (*POLLED, "normalizer", "query")
TERMINAL = (RunSucceeded, RunFailed, RunSkipped)
READY_SECONDS = 60.0
LOOK_SECONDS = 0.2
HTTP_TIMEOUT = aiohttp.ClientTimeout(total=30)


class NotQuietError(AssertionError):
    """The pipeline did not come to rest in time: something hangs."""


@dataclass(slots=True)
class Pipeline:
    """Servers, services, provider and what has been seen of them. Made by `started`."""

    servers: Servers
    processes: Processes
    provider: Provider
    ledger: Ledger
    report: Report
    api_url: str
    normalizer_url: str
    """Where the first replica tells its health."""
    seed: int
    asked_for: set[UUID] = field(default_factory=set)
    """The runs that the API has accepted: each must end."""
    postgres_refused: bool = False
    """Somebody made Postgres refuse what is no poison."""

    @property
    def connection(self) -> KafkaConnection:
        return KafkaConnection(self.servers.bootstrap_servers, "faults")

    def start_missing(self) -> None:
        """One of each service, where there is none."""
        for kind in SERVICES:
            if not self.processes.numbers(kind):
                self.processes.start(kind)

    async def ask_for_run(self, source: str) -> UUID:
        """Ask the HTTP API for a run."""
        async with (
            aiohttp.ClientSession(timeout=HTTP_TIMEOUT) as session,
            session.post(f"{self.api_url}/etl/run-background/{source}") as answer,
        ):
            answer.raise_for_status()
            run_id = UUID((await answer.json())["run_id"])
        self.asked_for.add(run_id)
        self.report.runs_asked += 1
        return run_id

    async def get(self, path: str, *, of: str | None = None) -> Any:
        """Ask the HTTP API, or the server `of` this URL."""
        async with aiohttp.ClientSession(timeout=HTTP_TIMEOUT) as session, session.get((of or self.api_url) + path) as answer:
            answer.raise_for_status()
            return await answer.json(loads=strict_json)

    async def until_ready(self) -> None:
        """Wait until the HTTP API takes requests."""
        await self.until(self._is_ready, READY_SECONDS, "the HTTP API to be ready")

    async def _is_ready(self) -> bool:
        with suppress(aiohttp.ClientError, OSError, TimeoutError):
            async with aiohttp.ClientSession(timeout=HTTP_TIMEOUT) as session, session.get(f"{self.api_url}/ready") as answer:
                return answer.ok
        return False

    async def until_at_work(self) -> None:
        """Wait until a run of each source has gone all the way: only then does a fault meet something."""
        await self.until_ready()
        await self.until_ended({await self.ask_for_run(source) for source in POLLED}, READY_SECONDS)

    async def until(self, condition: Callable[[], Awaitable[bool]], seconds: float, what: str) -> None:
        """Wait for it, and fail with the logs when it does not come."""
        deadline = asyncio.get_running_loop().time() + seconds
        while not await condition():
            if crashed := self.processes.crashed():
                raise NotQuietError("\n".join(crashed))
            if asyncio.get_running_loop().time() > deadline:
                raise NotQuietError(f"waited {seconds:g} s for {what}\n{self.processes.last_lines()}")
            await asyncio.sleep(LOOK_SECONDS)

    def unfinished(self) -> set[UUID]:
        """Runs that were asked for or announced and have no end yet, as far as the ledger has been read."""
        known = self.asked_for | {event.run_id for event in self.ledger.events}
        return known - {event.run_id for event in self.ledger.events if isinstance(event, TERMINAL)}

    async def until_ended(self, runs: Collection[UUID], seconds: float) -> None:
        """Wait until each of the runs has its end; an open transaction of a dead process may hide it for a while."""

        async def ended() -> bool:
            with suppress(StuckError, KafkaUnreachableError):
                await self.ledger.read_on(1.0)
            return self.unfinished().isdisjoint(runs)

        await self.until(ended, seconds, f"{len(runs)} runs to end")

    async def until_quiet(self, seconds: float) -> None:
        """Wait until every run has ended and nobody has anything left to read."""
        state = "nothing was looked at"

        async def quiet() -> bool:
            nonlocal state
            try:
                await self.ledger.read_on(5.0)
                lag = await self._lag()
            except (StuckError, KafkaUnreachableError) as error:
                state = str(error)
                return False
            open_runs = self.unfinished()
            state = f"{len(open_runs)} runs without an end ({', '.join(map(str, sorted(open_runs)[:3]))}); lag {lag}"
            return not open_runs and not lag

        try:
            await self.until(quiet, seconds, "quiet")
            # The ends of the logs were not read at one moment: a run's end may have come between its assets' topic and its own.
            await self.ledger.read_on(5.0)
        except NotQuietError as error:
            raise NotQuietError(f"{state}\n{error}") from error

    async def _lag(self) -> dict[str, int]:
        groups = {NORMALIZER_GROUP: [*(topics.raw.name for topics in SOURCE_TOPICS.values()), RUN_EVENTS.name]}
        groups |= {f"kasparro-producer-{source}": [SOURCE_TOPICS[source].commands.name] for source in POLLED}
        behind: dict[str, int] = {}
        async with open_lag_reader(self.connection) as reader:
            for group, topics in groups.items():
                for lag in await reader.read(group, topics, datetime.now(UTC)):
                    if lag.lag_messages:
                        behind[f"{lag.topic}/{lag.partition}"] = lag.lag_messages
        return behind

    @asynccontextmanager
    async def under_load(self, random_: random.Random, *, pace_seconds: float = 0.8) -> AsyncIterator[None]:
        """Let the market move and ask for runs all the while; whoever is away is asked again."""
        before = len(self.asked_for)
        loading = asyncio.create_task(self._load(random_, pace_seconds))
        try:
            yield
        finally:
            loading.cancel()
            with suppress(asyncio.CancelledError):
                await loading
        assert len(self.asked_for) > before, f"the API took no request, so there was no load\n{self.processes.last_lines()}"

    async def _load(self, random_: random.Random, pace_seconds: float) -> None:
        while True:
            await self.provider.advance()
            for source in random_.sample(POLLED, k=random_.randint(1, len(POLLED))):
                with suppress(aiohttp.ClientError, OSError, TimeoutError):
                    await self.ask_for_run(source)
            await asyncio.sleep(pace_seconds * random_.uniform(0.5, 1.5))


def strict_json(text: str) -> Any:
    """Read JSON as readers other than Python's do: Infinity and NaN are none."""

    def refuse(constant: str) -> Any:
        raise ValueError(f"{constant} is no JSON")

    return json.loads(text, parse_constant=refuse)


async def with_topics_and_tables(pipeline: Pipeline) -> None:
    """Make what the services need, of this release."""
    await ensure_topics(pipeline.connection, TOPICS)
    await asyncio.to_thread(migrate, pipeline.servers.database_url)


@asynccontextmanager
async def started(
    nursery: Nursery,
    jars: Jars,
    folder: Path,
    logs: Path,
    report: Report,
    seed: int,
    *,
    release: Release = THIS,
    prepare: Callable[[Pipeline], Awaitable[None]] = with_topics_and_tables,
) -> AsyncIterator[Pipeline]:
    """Start everything, with a release's code, and end it whatever happens."""
    servers = Servers(nursery, jars, folder)
    await servers.start()
    sandbox_port, api_port, health_port = free_port(), free_port(), free_port()
    sandbox_url, api_url, normalizer_url = (f"http://{LOOPBACK}:{port}" for port in (sandbox_port, api_port, health_port))
    processes = Processes(nursery, logs, environments.of_services(servers, sandbox_url, api_port))
    processes.of_one["normalizer", 1] = {"NORMALIZER_HEALTH_PORT": str(health_port)}
    processes.releases = dict.fromkeys(SERVICES, release)
    processes.start("sandbox", environment=environments.of_the_sandbox(sandbox_port, seed))
    provider = Provider(sandbox_url, environments.COINGECKO_LISTINGS)
    pipeline = Pipeline(servers, processes, provider, Ledger(servers.bootstrap_servers), report, api_url, normalizer_url, seed)
    try:
        await prepare(pipeline)
        pipeline.start_missing()
        await pipeline.until_at_work()
        yield pipeline
    finally:
        for kind, number in list(processes.running):
            processes.running.pop((kind, number)).reap()
