"""How many quotes a second come into their table by Kafka Connect, which does nothing else, and by a loop that does just that.

A connector takes messages whose fields are the columns of one table: no raw rows in the same transaction. So this is a part of
its own, with a topic of its own. The quotes alone tell how many have been applied, for each is a second younger than the
listing's one before; the run is over when the group has committed all of the topic.
"""

import asyncio
import time
from collections.abc import Iterator, Sequence
from datetime import datetime
from itertools import chain, islice
from statistics import median
from typing import NamedTuple
from uuid import UUID

import psutil

from benchmarks.contenders import Contender, on_empty_tables
from benchmarks.ground import Ground
from benchmarks.ingest import wrong_quotes
from benchmarks.peers.connect_sink import CONNECT as CONNECT_JAR
from benchmarks.peers.connect_sink import SINK as SINK_JAR
from benchmarks.peers.connect_sink import fetch
from benchmarks.peers.messages import FLAT, ROW, FlatQuote
from benchmarks.processes import cpu_seconds, is_alive
from benchmarks.report import Section, say
from benchmarks.ticks import BATCH, Workload, make
from libs.contracts.topics import Topic
from libs.kafka.admin import ensure_topics
from libs.kafka.offsets import GroupOffsets, open_group_offsets
from libs.kafka.publishing import open_publisher
from libs.kafka.records import Record

TOPIC = Topic(
    name="benchmark.quotes",
    summary="The benchmark's quotes, their fields named as the columns of the table",
    key="asset_uid",
    model=None,
    writers=("benchmark",),
    readers=("benchmark",),
    kept=None,
)
AGAIN = 1_000
LOOK_SECONDS = 0.05
ASK_SECONDS = 1.0
STANDSTILL_SECONDS = 60.0
APPLIED = """
    SELECT coalesce(sum(extract(epoch FROM source_updated_at - $1) + 1), 0)::bigint FROM quotes"""

LOOP = Contender(
    "R, quotes alone",
    "by hand: getmany, decode, one statement behind the guard for the newest of each listing, commit the offsets, and again",
    "benchmarks.peers.quotes_loop",
)
CONNECT = Contender(
    "Kafka Connect",
    f"{CONNECT_JAR.rpartition(':')[2]} with Debezium's JDBC sink {SINK_JAR.rpartition(':')[2]}, nothing but settings: upserts by "
    "key, a batch a statement, one schema for all messages; Java's start is in its CPU",
    "benchmarks.peers.connect_sink",
)
CONTENDERS = (LOOP, CONNECT)
HEAD = """\
| records a chunk | contender | x R | quotes/s | least to most | CPU us a quote | peak MiB | wrong |
|---|---|---|---|---|---|---|---|"""
LINE = "| {chunk:,} | {name} | {ratio:.2f} | {speed:,.0f} | {least:,.0f} to {most:,.0f} | {cpu:.0f} | {mib:.0f} | {wrong:,} |"
TEXT = """\
{quotes:,} quotes of {listings:,} listings, flat JSON, one process each; no raw rows, so not to be compared with the ticks above.
At the end of the topic the first {again:,} come again, as they do when a producer or a replay sends them twice: *wrong* counts
the listings that do not show their newest quote then, the worst of {rounds} rounds; all else are medians.

{table}

{contenders}
"""


class Published(NamedTuple):
    """What is in the topic: how many quotes, when the first ones are from, and what each listing must show in the end."""

    quotes: int
    start: datetime
    newest: dict[str, UUID]


class Measured(NamedTuple):
    """One run."""

    per_second: float
    cpu_us: float
    peak_mib: float
    wrong: int


def flat(work: Workload) -> Iterator[FlatQuote]:
    """Make the quotes of the workload."""
    for tick in make(work):
        row = ROW.decode(tick.payload)
        yield FlatQuote(
            source_id=tick.source_id,
            asset_uid=tick.asset_uid,
            symbol=row.symbol,
            name=row.name,
            current_price=row.current_price,
            market_cap=row.market_cap,
            total_volume=row.total_volume,
            price_change_percentage_24h=row.price_change_percentage_24h,
            circulating_supply=row.circulating_supply,
            total_supply=row.total_supply,
            max_supply=row.max_supply,
            market_cap_rank=row.market_cap_rank,
            source_updated_at=tick.source_updated_at,
            fetched_at=tick.fetched_at,
            tick_id=tick.tick_id,
            run_id=tick.run_id,
        )


async def publish(ground: Ground, work: Workload) -> Published:
    """Fill the topic."""
    await ensure_topics(ground.connection, [TOPIC])
    quotes = list(flat(work))
    again = quotes[: min(AGAIN, work.listings)]
    records = (Record(TOPIC.name, quote.asset_uid.encode(), FLAT.encode(quote)) for quote in chain(quotes, again))
    async with open_publisher(ground.connection, timeout_seconds=60) as publisher:
        while batch := list(islice(records, BATCH)):
            await publisher.publish(batch)
    return Published(work.ticks, quotes[0].source_updated_at, {quote.source_id: quote.tick_id for quote in quotes})


async def measure(ground: Ground, contender: Contender, published: Published, *, chunk_records: int) -> Measured:
    """Let the contender work through the topic on an empty table."""
    start = await on_empty_tables(ground, contender, chunk_records=chunk_records, topic=TOPIC.name)
    async with open_group_offsets(ground.connection, start.environment["BENCHMARK_GROUP"]) as offsets, start() as process:
        per_second, peak = await _watch(ground, process, offsets, published)
        cpu = cpu_seconds(process)
    return Measured(per_second, 1e6 * cpu / published.quotes, peak / 2**20, await wrong_quotes(ground, published.newest))


async def _watch(ground: Ground, process: psutil.Process, offsets: GroupOffsets, published: Published) -> tuple[float, int]:
    """Return the quotes a second from the first that a reader sees to the last, and the most memory seen."""
    peak, first, most, began = 0, 0, 0, 0.0
    moved = asked = time.monotonic()
    while True:
        if not is_alive(process):
            raise SystemExit("error: the contender has ended by itself; its words are above")
        now, applied = time.monotonic(), int(await ground.pool.fetchval(APPLIED, published.start))
        if applied > most:
            if not first:
                first, began = applied, now
            most, moved = applied, now
        elif now - asked > ASK_SECONDS:
            if await _is_done(offsets):
                if moved == began:
                    raise SystemExit(f"error: {most:,} quotes are over too soon to be measured")
                return (most - first) / (moved - began), peak
            asked = now
        if now - moved > STANDSTILL_SECONDS:
            raise SystemExit(f"error: the contender stands still at {most:,} quotes")
        peak = max(peak, process.memory_info().rss)
        await asyncio.sleep(LOOK_SECONDS)


async def _is_done(offsets: GroupOffsets) -> bool:
    return all(place.committed == place.log_end for place in await offsets.standings([TOPIC.name]))


async def compare(
    ground: Ground, contenders: Sequence[Contender], work: Workload, *, rounds: int, chunks: Sequence[int]
) -> Section:
    """Run each once a round and chunk size."""
    if CONNECT in contenders:
        await fetch()
    published = await publish(ground, work)
    runs: dict[tuple[int, str], list[Measured]] = {}
    for round_ in range(1, rounds + 1):
        for chunk in chunks:
            for contender in contenders:
                run = await measure(ground, contender, published, chunk_records=chunk)
                runs.setdefault((chunk, contender.name), []).append(run)
                say(
                    f"{round_}/{rounds}  {chunk:>6} a chunk  {contender.name:<24} {run.per_second:>8,.0f} quotes/s  "
                    f"{run.cpu_us:>5.0f} us CPU  {run.peak_mib:>5.0f} MiB  wrong {run.wrong}"
                )
    ratios = {place: _ratio(held, runs[place[0], LOOP.name]) for place, held in runs.items()}
    table = "\n".join([HEAD, *(_line(place, held, ratios[place]) for place, held in runs.items())])
    told = "\n".join(f"- **{one.name}**: {one.what}" for one in contenders)
    text = TEXT.format(quotes=work.ticks, listings=work.listings, again=AGAIN, rounds=rounds, table=table, contenders=told)
    bars = [(f"{name}, {chunk:,}", ratio) for (chunk, name), ratio in ratios.items()]
    return Section("Quotes alone", text, "speed as a multiple of R's", bars, [LOOP.peer])


def _ratio(held: Sequence[Measured], others: Sequence[Measured]) -> float:
    return median(one.per_second / other.per_second for one, other in zip(held, others, strict=True))


def _line(place: tuple[int, str], held: Sequence[Measured], ratio: float) -> str:
    speeds = [one.per_second for one in held]
    return LINE.format(
        chunk=place[0],
        name=place[1],
        ratio=ratio,
        speed=median(speeds),
        least=min(speeds),
        most=max(speeds),
        cpu=median(one.cpu_us for one in held),
        mib=max(one.peak_mib for one in held),
        wrong=max(one.wrong for one in held),
    )
