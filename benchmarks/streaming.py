"""How long a change of an asset takes from its publication in Kafka to the clients of the stream, and what they cost.

Clients, broker and query service are on the same cores. The clock begins before the change is handed to the publisher, and ends
when a client's bytes have been received.
"""

import asyncio
import random
import sys
import time
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from typing import Final, NamedTuple

import msgspec
import psutil

from benchmarks.ground import ROOT, Ground
from benchmarks.processes import cpu_seconds, service
from benchmarks.report import Section, say
from libs.contracts.topics import ASSETS_NORMALIZED
from libs.devstack.ports import free_port
from libs.kafka.publishing import Publisher, open_publisher
from libs.kafka.records import Record

SLICE_SECONDS: Final = 0.02
READY_SECONDS: Final = 120.0
WARM_SECONDS: Final = 3.0
FOLLOWED: Final = 20
"""Assets of a client that follows its own."""
BEST: Final = 100
HOT: Final = 1_000
"""Assets that change where few do."""
P99_MS: Final = 500
"""What is aimed at."""
HEAD: Final = (
    "| {clients:,} clients, each wants | changes/s | events/s sent | MB/s | p50 ms | p99 ms | slowest | left out | CPU, cores "
    "| MiB at start | at end |\n|---|---|---|---|---|---|---|---|---|---|---|"
)
LINE: Final = (
    "| {name} | {rate:,.0f} | {sent:,.0f} | {megabytes:.1f} | {p50:.0f} | {p99:.0f} | {most:.0f} | {left_out:.1%} "
    "| {cores:.2f} | {start:.0f} | {end:.0f} |"
)
TEXT: Final = """\
{assets:,} assets of some {size:,} bytes; one query service as it is deployed, {clients:,} clients of `/data/stream`, and changes
published to `assets.normalized` in a steady stream for {seconds:.0f} s; broker and clients (one light process) on the same
{cores} cores. From before a change is handed to the publisher until a client's socket has given its bytes. A change that comes
alone is sent at once, others are gathered for 100 ms. *Left out*: of the changes that were due to clients, those that were too
slow were told the newest of each asset instead, and how many they were not told; theirs is no time. *MiB*: of the query
service, with its clients, before the first change and after the last. Aimed at: p99 {aim} ms.

{table}

The last line is the ceiling and no aim: {clients:,} copies of everything are more than these cores can carry, and so the clients
are told what is newest when their turn comes, in memory that does not grow.
"""


class Scenario(NamedTuple):
    """What clients ask for, one after another, and how many of the assets change."""

    name: str
    queries: Sequence[str]
    changing: int


class Streamed(NamedTuple):
    """What was seen."""

    name: str
    rate: float
    events_per_second: float
    megabytes_per_second: float
    p50_ms: float
    p99_ms: float
    most_ms: float
    left_out: float
    cores: float
    start_mib: float
    end_mib: float


class Heard(msgspec.Struct):
    """What the clients say."""

    events: int
    skipped: int
    bytes: int
    p50_ms: float
    p99_ms: float
    most_ms: float


def scenarios(assets: int, clients: int) -> Sequence[Scenario]:
    """Return what is measured, the heaviest last."""
    hot = min(HOT, assets)
    return (
        Scenario(f"{FOLLOWED} of its own, all change", _own(assets, clients), assets),
        Scenario(f"the {BEST} of the best rank, all change", [f"?top={BEST}"], assets),
        Scenario(f"{FOLLOWED} of its own, of the {hot:,} that change", _own(hot, clients), hot),
        Scenario("everything", [""], assets),
    )


def _own(assets: int, clients: int) -> Sequence[str]:
    dice = random.Random(1)  # noqa: S311 spreading, not cryptography
    numbers = (dice.sample(range(assets), k=min(FOLLOWED, assets)) for _ in range(clients))
    return ["?uid=" + ",".join(f"sym{number}" for number in own) for own in numbers]


def value_of(number: int, version: int) -> bytes:
    """Make an asset as long as real ones are."""
    listings = [{"source": source, "source_id": f"some-asset-{number}"} for source in ("coingecko", "coinpaprika", "csv")]
    amounts = {f"percent_change_{span}": -1.2345678901 for span in ("1h", "24h", "7d")}
    amounts |= dict.fromkeys(("market_cap_usd", "volume_24h_usd", "circulating_supply", "total_supply"), 1234567890.1234567)
    asset = {
        "asset_uid": f"sym{number}",
        "symbol": f"SYM{number}",
        "name": f"Some asset {number}",
        "market_cap_rank": number + 1,
        "anchor": listings[0],
        "taken": listings[1],
        "agreeing": listings,
        "listings_total": 3,
        "price_usd": 1.0,
        **amounts,
        "max_supply": None,
        "price_spread_percent": 0.1,
        "source_updated_at": "2026-11-29T18:12:16Z",
        "fetched_at": "2026-11-29T18:12:16.667844Z",
        "tick_id": "6f48e20b-5acb-c219-2ad5-e6076d3971b5",
        "warnings": [],
    }
    return msgspec.json.encode(asset | {"version": version})


def _record(number: int) -> Record:
    return Record(ASSETS_NORMALIZED.name, f"sym{number}".encode(), value_of(number, time.time_ns()))


async def measure(ground: Ground, assets: int, clients: int, rate: int, seconds: float) -> Section:
    """Measure each scenario with a service of its own."""
    found: list[Streamed] = []
    async with open_publisher(ground.connection) as publisher:
        await publisher.publish([_record(number) for number in range(assets)])
        for scenario in scenarios(assets, clients):
            found.append(await _streamed(ground, publisher, scenario, clients=clients, rate=rate, seconds=seconds))
            say(f"{clients:,} clients, {_line(found[-1])}")
    text = TEXT.format(
        assets=assets,
        size=len(value_of(assets, time.time_ns())),
        clients=clients,
        seconds=seconds,
        aim=P99_MS,
        cores=psutil.cpu_count(),
        table="\n".join([HEAD.format(clients=clients), *map(_line, found)]),
    )
    bars = [
        (f"{one.name}, {which}", took / P99_MS) for one in found for which, took in (("p50", one.p50_ms), ("p99", one.p99_ms))
    ]
    return Section("Stream", text, "milliseconds as a share of what is aimed at", bars, [])


async def _streamed(
    ground: Ground, publisher: Publisher, scenario: Scenario, *, clients: int, rate: int, seconds: float
) -> Streamed:
    port = free_port()
    async with service(ground, "services.query", PORT=str(port), STREAM_CLIENTS=str(clients)) as query:
        await _until_ready(port)
        async with _clients(port, clients, scenario.queries) as following:
            await asyncio.sleep(WARM_SECONDS)
            start, used, began = _mib(query), cpu_seconds(query), time.perf_counter()
            sent = await _change(publisher, scenario.changing, rate, seconds)
            await asyncio.sleep(1.0)  # what is under way
            elapsed, cpu, end = time.perf_counter() - began, cpu_seconds(query) - used, _mib(query)
            heard = await _heard(following)
    return Streamed(
        *(scenario.name, sent / seconds, heard.events / elapsed, heard.bytes / elapsed / 1e6),
        *(heard.p50_ms, heard.p99_ms, heard.most_ms, heard.skipped / max(1, heard.skipped + heard.events)),
        *(cpu / elapsed, start, end),
    )


async def _change(publisher: Publisher, changing: int, rate: int, seconds: float) -> int:
    """Publish changes at the rate, whatever became of those before."""
    dice = random.Random(2)  # noqa: S311 spreading, not cryptography
    began, sent = time.perf_counter(), 0
    async with asyncio.TaskGroup() as tasks:
        while sent < rate * seconds:
            due = min(int((time.perf_counter() - began) * rate), int(rate * seconds)) - sent
            tasks.create_task(_publish(publisher, [_record(dice.randrange(changing)) for _ in range(due)]))
            sent += due
            await asyncio.sleep(SLICE_SECONDS)
    return sent


async def _publish(publisher: Publisher, records: Sequence[Record]) -> None:
    await publisher.publish(records)


@asynccontextmanager
async def _clients(port: int, clients: int, queries: Sequence[str]) -> AsyncIterator[asyncio.subprocess.Process]:
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "benchmarks.stream_clients", str(port), str(clients), *queries),
        cwd=ROOT,
        stdin=asyncio.subprocess.PIPE,
        stdout=asyncio.subprocess.PIPE,
    )
    try:
        async with asyncio.timeout(READY_SECONDS):
            if process.stdout is None or await process.stdout.readline() != b"ready\n":
                raise SystemExit("error: the clients of the stream were not taken")
        yield process
    finally:
        if process.returncode is None:
            process.kill()
            await process.wait()


async def _heard(process: asyncio.subprocess.Process) -> Heard:
    said, _ = await process.communicate(b"")  # which ends its input
    if process.returncode != 0:
        raise SystemExit("error: the clients of the stream have ended")
    return msgspec.json.decode(said, type=Heard)


async def _until_ready(port: int) -> None:
    async with asyncio.timeout(READY_SECONDS):
        while not await _takes_clients(port):  # noqa: ASYNC110 - another process
            await asyncio.sleep(0.2)


async def _takes_clients(port: int) -> bool:
    try:
        reader, writer = await asyncio.open_connection("127.0.0.1", port)
    except OSError:
        return False
    try:
        writer.write(f"HEAD /data/stream HTTP/1.1\r\nHost: 127.0.0.1:{port}\r\nConnection: close\r\n\r\n".encode())
        return b" 200 " in await reader.readline()
    finally:
        writer.close()


def _mib(process: psutil.Process) -> float:
    return float(process.memory_info().rss) / 2**20


def _line(one: Streamed) -> str:
    return LINE.format(
        name=one.name,
        rate=one.rate,
        sent=one.events_per_second,
        megabytes=one.megabytes_per_second,
        p50=one.p50_ms,
        p99=one.p99_ms,
        most=one.most_ms,
        left_out=one.left_out,
        cores=one.cores,
        start=one.start_mib,
        end=one.end_mib,
    )
