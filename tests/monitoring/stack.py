"""Servers, services and Prometheus: on deploy/prometheus, but for where it asks, how often, and how patient alerts are."""

import asyncio
import os
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import aiohttp
import yaml

from libs.contracts.topics import TOPICS
from libs.devstack.broker import Jars
from libs.devstack.children import Nursery
from libs.devstack.ports import LOOPBACK, free_port
from libs.kafka.admin import ensure_topics
from libs.kafka.connection import KafkaConnection
from libs.postgres.migrations import migrate
from tests.faults import environments
from tests.faults.processes import ROOT, Kind, Processes
from tests.faults.provider import Provider
from tests.faults.servers import Servers

OURS: Final = ROOT / "deploy" / "prometheus"
PRODUCERS: Final[tuple[Kind, ...]] = ("coingecko", "coinpaprika", "csv")
SERVICES: Final[tuple[Kind, ...]] = (*PRODUCERS, "normalizer", "query")
INTERVAL_SECONDS: Final = 10
"""Of the schedule: a source is late after three."""
SCRAPE: Final = "1s"
PATIENCE: Final = "2s"
"""In the place of each alert's `for`: minutes are for people."""
DEADLINE_SECONDS: Final = 240.0
LOOK_SECONDS: Final = 0.5
TIMEOUT: Final = aiohttp.ClientTimeout(total=20)


@dataclass(frozen=True, slots=True)
class Stack:
    """What runs, and where Prometheus and the API are asked."""

    servers: Servers
    processes: Processes
    provider: Provider
    prometheus_url: str
    api_url: str

    async def ask(self, path: str, **parameters: str) -> Any:
        """Ask Prometheus's API; return what it calls `data`."""
        async with (
            aiohttp.ClientSession(timeout=TIMEOUT) as session,
            session.get(f"{self.prometheus_url}/api/v1/{path}", params=parameters) as answer,
        ):
            told = await answer.json()
            assert answer.status == 200, (parameters, told)
            return told["data"]

    async def is_ready(self) -> bool:
        """Say whether Prometheus answers."""
        with suppress(aiohttp.ClientError, TimeoutError):
            await self.ask("status/buildinfo")
            return True
        return False

    async def series(self, expression: str) -> list[Any]:
        """Return what an expression gives now."""
        found: list[Any] = (await self.ask("query", query=expression))["result"]
        return found

    async def firing(self) -> set[str]:
        """Return the names of the alerts that fire."""
        alerts = (await self.ask("alerts"))["alerts"]
        return {alert["labels"]["alertname"] for alert in alerts if alert["state"] == "firing"}

    async def until(self, holds: Callable[[], Awaitable[bool]], what: Callable[[], Awaitable[Any]]) -> None:
        """Wait until it holds; fail with what is there instead."""
        deadline = asyncio.get_running_loop().time() + DEADLINE_SECONDS
        while not await holds():
            if asyncio.get_running_loop().time() > deadline:
                raise AssertionError(f"not within {DEADLINE_SECONDS:g} s: {await what()}\n{self.processes.last_lines()}")
            await asyncio.sleep(LOOK_SECONDS)

    async def read_something(self) -> None:
        """Be a reader of the API, so that there is something to tell of reads."""
        async with aiohttp.ClientSession(timeout=TIMEOUT) as session:
            for path in ("/data?limit=1", "/stats?limit=1"):
                with suppress(aiohttp.ClientError, TimeoutError):
                    async with session.get(self.api_url + path) as answer:
                        await answer.read()


@asynccontextmanager
async def started(nursery: Nursery, jars: Jars, folder: Path) -> AsyncIterator[Stack]:
    """Start everything, and end it whatever happens."""
    with nursery.temporary_folder("kasparro-monitoring-") as data:  # where the user that Postgres runs as may go
        servers = Servers(nursery, jars, data)
        await servers.start()
        await ensure_topics(KafkaConnection(servers.bootstrap_servers, "monitoring"), TOPICS)
        await asyncio.to_thread(migrate, servers.database_url)
        ports = {name: free_port() for name in ("sandbox", "prometheus", *SERVICES)}
        processes = _processes(nursery, folder, servers, ports)
        provider = Provider(f"http://{LOOPBACK}:{ports['sandbox']}", environments.COINGECKO_LISTINGS)
        for kind in ("sandbox", *SERVICES):
            processes.start(kind)
        prometheus = nursery.start(
            "prometheus",
            [OURS / "tool", "prometheus", f"--config.file={_configuration(folder, ports)}", f"--storage.tsdb.path={data}/tsdb",
             f"--web.listen-address={LOOPBACK}:{ports['prometheus']}"],
            log=folder / "prometheus.log",
            environment=os.environ,
        )  # fmt: skip
        try:
            urls = (f"http://{LOOPBACK}:{ports[one]}" for one in ("prometheus", "query"))
            stack = Stack(servers, processes, provider, *urls)
            await stack.until(stack.is_ready, stack.is_ready)
            yield stack
        finally:
            servers_running = [one.child for one in (servers.broker, servers.database) if one is not None]
            for child in (prometheus, *processes.running.values(), *servers_running):
                child.reap()


def _processes(nursery: Nursery, logs: Path, servers: Servers, ports: Mapping[str, int]) -> Processes:
    of_all = {
        **environments.of_services(servers, f"http://{LOOPBACK}:{ports['sandbox']}", ports["query"]),
        "ETL_ENABLED": "true",
        "ETL_INTERVAL_SECONDS": str(INTERVAL_SECONDS),
        "CSV_PATH": str(ROOT / "data" / "crypto_market.csv"),
    }
    processes = Processes(nursery, logs, of_all)
    processes.of_one["normalizer", 1] = {"NORMALIZER_HEALTH_PORT": str(ports["normalizer"])}
    for kind in PRODUCERS:
        processes.of_one[kind, 1] = {"PRODUCER_HEALTH_PORT": str(ports[kind])}
    processes.of_one["sandbox", 1] = {
        "PORT": str(ports["sandbox"]),
        "SANDBOX_STEP_SECONDS": "1",  # each run has news
        "SANDBOX_COINGECKO_LISTINGS": str(environments.COINGECKO_LISTINGS),
        "SANDBOX_COINPAPRIKA_LISTINGS": str(environments.COINPAPRIKA_LISTINGS),
    }
    return processes


def _configuration(folder: Path, ports: Mapping[str, int]) -> Path:
    """Write what Prometheus reads: names of containers become ports of this machine, and minutes seconds."""
    told = yaml.safe_load((OURS / "prometheus.yml").read_text())
    told["global"] = {"scrape_interval": SCRAPE, "scrape_timeout": SCRAPE, "evaluation_interval": SCRAPE}
    for job in told["scrape_configs"]:
        names = [name for one in job.pop("dns_sd_configs", ()) for name in one["names"]]
        at = [ports[kind] for name in names if (kind := name.removeprefix("producer-")) in ports] or [ports["prometheus"]]
        job["static_configs"] = [{"targets": [f"{LOOPBACK}:{port}" for port in at]}]
    (folder / "rules").mkdir()
    for path in OURS.glob("rules/*.yml"):
        rules = yaml.safe_load(path.read_text())
        for rule in (rule for group in rules["groups"] for rule in group["rules"] if "for" in rule):
            rule["for"] = PATIENCE
        (folder / "rules" / path.name).write_text(yaml.safe_dump(rules))
    written = folder / "prometheus.yml"
    written.write_text(yaml.safe_dump(told))
    return written
