"""What more replicas bring on one machine, and whether any work is done twice by them.

The normalizers are all in their group before there is anything to do: the backlog is one transaction, and becomes visible whole
when that commits. So no rebalance is in what is measured, and each record has one replica that it falls to.
"""

import asyncio
import time
from collections.abc import AsyncIterator, Iterator, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import NamedTuple

import msgspec
import psutil

from benchmarks.ground import Ground
from benchmarks.ingest import LOOK_SECONDS, STORED
from benchmarks.load import open_client
from benchmarks.polling import PAGED, open_runs, poll
from benchmarks.processes import JOINED_SECONDS, cpu_seconds, joined, service
from benchmarks.provider import open_provider, rounds_of_rows
from benchmarks.report import Section, say
from benchmarks.ticks import TOPIC, Workload, make
from libs.contracts.raw_tick import encode_raw_tick
from libs.contracts.topics import NORMALIZER_GROUP, PARTITIONS
from libs.devstack.ports import free_port
from libs.kafka.offsets import open_group_offsets
from libs.kafka.records import Record
from libs.kafka.transactions import TransactionalClient

WORK_SECONDS = 300.0
ROUNDS = 2
"""Of a number of producers: they warm up, and are measured."""
ANSWER_SECONDS = 0.3
"""What a provider on the internet may take for a page; assumed."""
SERVERS = frozenset({"postgres", "java"})
NORMALIZER_HEAD = """\
| normalizers | ticks/s | x one | CPU us a tick | Postgres's and Kafka's | cores used | chunks | records handled | rows | behind |
|---|---|---|---|---|---|---|---|---|---|"""
PRODUCER_HEAD = """\
| producers | listings/s | x one | CPU us a listing | requests | pages | pages asked for twice |
|---|---|---|---|---|---|---|"""
TEXT = """\
A backlog of {ticks:,} ticks of {listings:,} listings that becomes visible at once, when all replicas are in their group.
*Records handled* adds up what each replica logged of its chunks: more than there are would be work done twice. *Behind* is how
far the group's committed offsets are from the end of the log, after the last row. *Cores used* adds up replicas, Postgres and
broker.

{normalizers}

A run of {polled:,} listings, every row new, by replicas of the CoinGecko producer; the provider counts its requests, and takes
{answer_ms:.0f} ms for each page, as one on the internet may:

{producers}

The same with a provider that answers at once:

{at_once}

The ceiling of normalizers is the machine, of {cores} cores: one with its Postgres and its broker uses {alone:.1f} of them,
{most} use {together:.1f}. A producer asks for as many pages at once as it owns command partitions, one alone for {partitions},
and the one that most pages fall on decides how long a slow provider is waited for, whoever owns it. What is news is decided in
the order of one log, of which each replica reads all that the others have decided: that is the ceiling where answers come at
once, and it costs each of them the more processor time the more there are. So a replica more is there for the day one dies, and
not for speed.
"""


class Worked(NamedTuple):
    """How so many normalizers worked through the backlog."""

    replicas: int
    ticks: int
    seconds: float
    own_cpu: float
    servers_cpu: float
    chunks: int
    handled: int
    rows: int
    behind: int

    @property
    def per_second(self) -> float:
        """Ticks a second."""
        return self.ticks / self.seconds

    @property
    def cores(self) -> float:
        """How many cores were in use."""
        return (self.own_cpu + self.servers_cpu) / self.seconds


class Shared(NamedTuple):
    """How so many producers made a run."""

    replicas: int
    per_second: float
    us_per_listing: float
    requests: int
    pages: int
    twice: int


async def compare(ground: Ground, work: Workload, polled: int, replicas: Sequence[int]) -> Section:
    """Let each number of replicas do the same work."""
    records = [Record(TOPIC, tick.asset_uid.encode(), encode_raw_tick(tick)) for tick in make(work)]
    normalizers: list[Worked] = []
    for count in replicas:
        normalizers.append(await _normalized(ground, records, count))
        say(_normalizer_line(normalizers[-1], normalizers[0]))
    rounds = rounds_of_rows(Workload(polled * ROUNDS * 2 * len(replicas), polled))
    producers = await _polled(ground, rounds, replicas, answer_seconds=ANSWER_SECONDS)
    at_once = await _polled(ground, rounds, replicas, answer_seconds=0.0)
    text = TEXT.format(
        ticks=work.ticks,
        listings=work.listings,
        polled=polled,
        cores=psutil.cpu_count(),
        alone=normalizers[0].cores,
        most=normalizers[-1].replicas,
        together=normalizers[-1].cores,
        normalizers="\n".join([NORMALIZER_HEAD, *(_normalizer_line(one, normalizers[0]) for one in normalizers)]),
        answer_ms=1_000 * ANSWER_SECONDS,
        partitions=PARTITIONS,
        producers="\n".join([PRODUCER_HEAD, *(_producer_line(one, producers[0]) for one in producers)]),
        at_once="\n".join([PRODUCER_HEAD, *(_producer_line(one, at_once[0]) for one in at_once)]),
    )
    bars = [(f"normalizers: {one.replicas}", one.per_second / normalizers[0].per_second) for one in normalizers]
    bars += [(f"producers: {one.replicas}", one.per_second / producers[0].per_second) for one in producers]
    bars += [(f"producers, answers at once: {one.replicas}", one.per_second / at_once[0].per_second) for one in at_once]
    return Section("Scaling", text, "speed as a multiple of one replica's", bars, [])


async def _normalized(ground: Ground, records: Sequence[Record], count: int) -> Worked:
    await ground.clear()
    with TemporaryDirectory(prefix="kasparro-benchmark-") as folder:
        logs = [Path(folder) / f"{number}.log" for number in range(count)]
        async with _normalizers(ground, logs) as replicas:
            client = TransactionalClient(ground.connection, "benchmark-scaling")
            await client.open()
            async with client.transaction() as transaction:
                await transaction.send(records)
                began = time.monotonic()
                own, theirs = sum(map(cpu_seconds, replicas)), _servers_cpu()
            await client.close()
            rows = await _stored(ground, len(records))
            seconds = time.monotonic() - began
            own, theirs = sum(map(cpu_seconds, replicas)) - own, _servers_cpu() - theirs
            behind = await _behind(ground)
        received = [number for log in logs for number in _received(log)]
    return Worked(count, len(records), seconds, own, theirs, len(received), sum(received), rows, behind)


@asynccontextmanager
async def _normalizers(ground: Ground, logs: Sequence[Path]) -> AsyncIterator[Sequence[psutil.Process]]:
    """Run a replica for each log, and wait until they share the partitions of the topic."""
    ports = [free_port() for _ in logs]
    settings = {"LOG_LEVEL": "INFO", "LOG_FORMAT": "json", "RAW_RETENTION_DAYS": "0"}
    async with AsyncExitStack() as stack:
        replicas = [
            await stack.enter_async_context(
                service(ground, "services.normalizer", log=log, NORMALIZER_HEALTH_PORT=str(port), **settings)
            )
            for log, port in zip(logs, ports, strict=True)
        ]
        async with asyncio.timeout(JOINED_SECONDS):
            while not _shared([await _held(port) for port in ports]):  # noqa: ASYNC110 - other processes
                await asyncio.sleep(0.2)
        yield replicas


async def _held(port: int) -> set[int]:
    """Return the partitions of the topic that a replica has; none while it does not answer that it is ready."""
    try:
        async with open_client(port) as client:
            _, told = await client.page("/ready")
    except (OSError, RuntimeError, asyncio.IncompleteReadError):
        return set()
    return {one["partition"] for one in told["partitions"] if one["topic"] == TOPIC}


def _shared(held: Sequence[set[int]]) -> bool:
    return all(held) and sum(map(len, held)) == len(set[int]().union(*held)) == PARTITIONS


def _servers_cpu() -> float:
    """Return what Postgres, in however many processes it has now, and the broker have used."""
    return sum(cpu_seconds(one) for one in psutil.Process().children(recursive=True) if one.name() in SERVERS)


async def _stored(ground: Ground, ticks: int) -> int:
    """Wait until so many rows have been inserted and committed; return how many there are."""
    async with asyncio.timeout(WORK_SECONDS):
        while True:
            if int(await ground.pool.fetchval(STORED)) >= ticks:
                rows = int(await ground.pool.fetchval("SELECT count(*) FROM raw_coingecko"))
                if rows >= ticks:
                    return rows
            await asyncio.sleep(LOOK_SECONDS)


async def _behind(ground: Ground) -> int:
    """Return by how many records the group is behind; nothing, as soon as it has published and committed what it stored."""
    until = time.monotonic() + JOINED_SECONDS
    async with open_group_offsets(ground.connection, NORMALIZER_GROUP) as offsets:
        while True:
            standings = await offsets.standings([TOPIC])
            behind = sum(standing.log_end - (standing.committed or 0) for standing in standings)
            if not behind or time.monotonic() > until:
                return behind
            await asyncio.sleep(LOOK_SECONDS)


def _received(log: Path) -> Sequence[int]:
    """Return the records of each chunk of the topic that a replica says it has stored."""
    lines = [msgspec.json.decode(line) for line in log.read_bytes().splitlines() if line.startswith(b"{")]
    return [line["received"] for line in lines if line["event"] == "chunk_stored" and line["topic"] == TOPIC]


async def _polled(
    ground: Ground, rounds: Iterator[list[bytes]], replicas: Sequence[int], *, answer_seconds: float
) -> Sequence[Shared]:
    """Poll new rows with each number of producers, after a run that they warm up with."""
    shared: list[Shared] = []
    async with open_provider(answer_seconds=answer_seconds) as provider, open_runs(ground, PAGED.source) as asked:
        for count in replicas:
            rows = next(rounds)
            listings, settings = len(rows), PAGED.settings(provider, len(rows))
            async with AsyncExitStack() as stack:
                producers = [await stack.enter_async_context(service(ground, PAGED.module, **settings)) for _ in range(count)]
                await joined(ground, f"kasparro-producer-{PAGED.source}", count)
                for new in (rows, next(rounds)):
                    pages = PAGED.pages(new)
                    provider.show(pages)
                    made = await poll(asked, provider, producers, listings, published=listings)
                requests, twice = provider.asked.total(), sum(times > 1 for times in provider.asked.values())
                shared.append(Shared(count, *made, requests, len(pages), twice))
            say(_producer_line(shared[-1], shared[0]))
    return shared


def _normalizer_line(one: Worked, alone: Worked) -> str:
    own, servers = 1e6 * one.own_cpu / one.ticks, 1e6 * one.servers_cpu / one.ticks
    return (
        f"| {one.replicas} | {one.per_second:,.0f} | {one.per_second / alone.per_second:.2f} | {own:.0f} | {servers:.0f} "
        f"| {one.cores:.1f} | {one.chunks} | {one.handled:,} | {one.rows:,} | {one.behind} |"
    )


def _producer_line(one: Shared, alone: Shared) -> str:
    return (
        f"| {one.replicas} | {one.per_second:,.0f} | {one.per_second / alone.per_second:.2f} | {one.us_per_listing:.0f} "
        f"| {one.requests} | {one.pages} | {one.twice} |"
    )
