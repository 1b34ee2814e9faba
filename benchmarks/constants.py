"""What a tick, a chunk and a page cost, in CPU, in bytes and in waiting: what benchmarks/simulation reckons with.

The normalizer works through one backlog twice, in small chunks and in large ones; from both follows what a chunk costs however
few ticks it has, and what each tick adds. Counting begins when as many are applied as there are listings: the rest move quotes.
With few listings a large chunk tells each of them twice, and costs less than it would with many: take 80,000 or more.
"""

import asyncio
import tempfile
import time
from contextlib import AsyncExitStack
from itertools import islice
from pathlib import Path
from statistics import median
from typing import NamedTuple

import msgspec

from benchmarks.contenders import WHOLE
from benchmarks.freshness import ticks_of
from benchmarks.ground import Ground
from benchmarks.images import page_images
from benchmarks.meters import Cpu, Wal, cpu, family_seconds, log_bytes, wal_between, wal_position
from benchmarks.polling import PAGED, open_runs
from benchmarks.processes import service
from benchmarks.provider import open_provider, rounds_of_rows
from benchmarks.report import Section, say
from benchmarks.ticks import TOPIC, Workload
from libs.contracts.topics import ASSETS_NORMALIZED, CURSORS
from libs.kafka.publishing import Publisher, open_publisher
from libs.kafka.records import Record

LARGE, SMALL = 5_000, 250
APPLIED_SECONDS = 150
LOOK_SECONDS = 0.05
WAITS = 200
ROUNDS = 2
RAW = ("raw_coingecko", "raw_coingecko_pkey", "raw_coingecko_tick_id_key")
RELATION = "SELECT pg_table_size($1::regclass), pg_indexes_size($1::regclass), (SELECT count(*) FROM {table})"
HOT = "SELECT 100.0 * n_tup_hot_upd / greatest(n_tup_upd, 1) FROM pg_stat_user_tables WHERE relname = $1"
COMMIT = "SELECT pg_logical_emit_message(true, 'benchmark', 'a commit that has something to write')"
TEXT = """\
{ticks:,} ticks of {listings:,} listings, published 16, 250 and 20,000 at a time; applied by one normalizer in chunks of at
most {small:,} and of at most {large:,}; then {polled:,} listings polled by one producer, every row new. Broker and Postgres
on the same cores, fsync on. CPU is what processes used, in microseconds, whatever the time that passed.

| constant | value |
|---|---|
{table}
"""

Found = dict[str, float]


class Applied(NamedTuple):
    """What it took to apply the backlog behind the first tick of each listing; the raw tables' WAL is of all."""

    ticks: int
    chunks: int
    seconds: float
    cpu: Cpu
    wal: Wal
    raw_wal: Wal
    all_ticks: int
    asset_bytes: int


class _Line(msgspec.Struct):
    received: int


async def measure(ground: Ground, work: Workload, polled: int) -> Section:
    """Measure each constant once."""
    found = await _publish(ground, work)
    small = await _apply(ground, work, SMALL)
    large = await _apply(ground, work, LARGE)
    found |= costs(small, large) | await _tables(ground) | await _poll(ground, polled) | await _waits(ground)
    found |= await page_images(ground, work.ticks)
    table = "\n".join(f"| {name} | {value:,.1f} |" for name, value in found.items())
    text = TEXT.format(ticks=work.ticks, listings=work.listings, polled=polled, large=LARGE, small=SMALL, table=table)
    spent = {name: found[f"{name}_us_per_tick"] for name in ("main", "threads", "postgres", "broker")}
    bars = [(name, value / spent["main"]) for name, value in spent.items()]
    return Section("Constants", text, "CPU of a tick, as a multiple of the normalizer's main thread", bars, [])


async def _publish(ground: Ground, work: Workload) -> Found:
    """Fill the raw topic, the first ticks in small batches: what a page becomes when partitions are many."""
    ticks, found = ticks_of(work), Found()
    async with open_publisher(ground.connection, timeout_seconds=60) as publisher:
        await publisher.publish([next(ticks).record for _ in range(work.ticks // 30)])  # the broker warms up
        for at_a_time, amount in ((16, work.ticks // 30), (250, work.ticks // 8), (20_000, work.ticks)):
            bytes_, seconds, sent, own = log_bytes(ground, TOPIC), family_seconds(ground.broker_pid), 0, 0.0
            part = islice(ticks, amount)
            while records := [tick.record for tick in islice(part, at_a_time)]:
                began = time.process_time()
                await publisher.publish(records)
                own += time.process_time() - began
                sent += len(records)
            found[f"topic_bytes_per_tick_{at_a_time}"] = (log_bytes(ground, TOPIC) - bytes_) / sent
            found[f"broker_us_per_sent_{at_a_time}"] = 1e6 * (family_seconds(ground.broker_pid) - seconds) / sent
            found[f"client_us_per_sent_{at_a_time}"] = 1e6 * own / sent
            say(f"published {sent:,} ticks, {at_a_time:,} at a time")
    return found


async def _apply(ground: Ground, work: Workload, chunk_records: int) -> Applied:
    await ground.clear()
    if WHOLE.group is not None:
        await ground.rewind(WHOLE.group, TOPIC)
    told = {"NORMALIZER_HEALTH_PORT": "0", "RAW_RETENTION_DAYS": "0", "LOG_LEVEL": "INFO", "LOG_FORMAT": "json"}
    empty = await wal_position(ground)
    with tempfile.TemporaryDirectory() as folder:
        log = Path(folder) / "normalizer.log"
        async with service(ground, WHOLE.module, log=log, CHUNK_RECORDS=str(chunk_records), **told) as process:
            first = await _until_applied(log, min(work.listings, work.ticks // 2))
            began, used, start = time.monotonic(), cpu(ground, process), await wal_position(ground)
            published = log_bytes(ground, ASSETS_NORMALIZED.name)
            last = await _until_applied(log, work.ticks)
            seconds, spent, end = time.monotonic() - began, cpu(ground, process).since(used), await wal_position(ground)
    ticks, chunks = last[0] - first[0], last[1] - first[1]
    say(f"applied {ticks:,} ticks in {chunks:,} chunks, {ticks / seconds:,.0f} a second")
    asset_bytes = log_bytes(ground, ASSETS_NORMALIZED.name) - published
    wal, raw = await wal_between(ground, start, end), await wal_between(ground, empty, end, relations=RAW)
    return Applied(ticks, chunks, seconds, spent, wal, raw, last[0], asset_bytes)


async def _until_applied(log: Path, ticks: int) -> tuple[int, int]:
    """Return how many ticks in how many chunks are applied, as the normalizer's log tells, once they are so many."""
    async with asyncio.timeout(APPLIED_SECONDS):
        while True:
            received = _received(log.read_bytes())  # noqa: ASYNC240 - some KB
            if sum(received) >= ticks:
                return sum(received), len(received)
            await asyncio.sleep(LOOK_SECONDS)


def _received(log: bytes) -> list[int]:
    """Return how many ticks each chunk had that the log tells of; its last line may be half there."""
    stored = [line for line in log.split(b"\n")[:-1] if b'"chunk_stored"' in line]
    return [msgspec.json.decode(line, type=_Line).received for line in stored]


def costs(small: Applied, large: Applied) -> Found:
    """Divide what was used into what each chunk costs and what each tick adds."""
    found: Found = {}
    for name, in_small, in_large in zip(Cpu._fields, small.cpu, large.cpu, strict=True):
        each, chunk = per_tick_and_chunk(
            (1e6 * in_small / small.ticks, small.ticks / small.chunks), (1e6 * in_large / large.ticks, large.ticks / large.chunks)
        )
        found |= {f"{name}_us_per_tick": each, f"{name}_us_per_chunk": chunk}
    return found | {
        "ticks_per_second_small": small.ticks / small.seconds,
        "ticks_per_second_large": large.ticks / large.seconds,
        "chunk_ticks_small": small.ticks / small.chunks,
        "chunk_ticks_large": large.ticks / large.chunks,
        "wal_record_bytes_per_tick": (large.wal.total - large.wal.images) / large.ticks,
        "wal_raw_bytes_per_tick": (large.raw_wal.total - large.raw_wal.images) / large.all_ticks,
        "wal_index_bytes_per_tick": large.wal.indexes / large.ticks,
        "wal_image_bytes_per_tick_here": large.wal.images / large.ticks,
        "asset_topic_bytes_per_tick": large.asset_bytes / large.ticks,
    }


def per_tick_and_chunk(small: tuple[float, float], large: tuple[float, float]) -> tuple[float, float]:
    """Solve cost = each + chunk / size for two pairs of (cost, size); neither is below nothing, whatever the noise."""
    chunk = max(0.0, (small[0] - large[0]) / (1 / small[1] - 1 / large[1]))
    return max(0.0, large[0] - chunk / large[1]), chunk


async def _tables(ground: Ground) -> Found:
    found: Found = {}
    for table in ("raw_coingecko", "quotes", "assets"):
        ((heap, indexes, rows),) = await ground.pool.fetch(RELATION.format(table=table), table)
        found |= {f"{table}_heap_bytes_per_row": heap / rows, f"{table}_index_bytes_per_row": indexes / rows}
    for table in ("quotes", "assets"):
        found[f"{table}_hot_percent"] = float(await ground.pool.fetchval(HOT, table))
    return found


async def _poll(ground: Ground, listings: int) -> Found:
    """Let one producer publish changed rows, page by page, each in its transaction; and then two that share the pages."""
    before = [log_bytes(ground, topic) for topic in (TOPIC, CURSORS.name)]
    one = await _polled(ground, listings, producers=1)
    bytes_ = [log_bytes(ground, topic) - was for topic, was in zip((TOPIC, CURSORS.name), before, strict=True)]
    two = await _polled(ground, listings, producers=2)
    return one | {
        "producer_ms_per_page_of_two": two["producer_ms_per_page"],
        "topic_bytes_per_polled": bytes_[0] / listings / ROUNDS,
        "cursor_bytes_per_polled": bytes_[1] / listings / ROUNDS,
    }


async def _polled(ground: Ground, listings: int, *, producers: int) -> Found:
    """The first round, in which they start and meet, does not count."""
    rounds = map(PAGED.pages, rounds_of_rows(Workload(ROUNDS * listings, listings)))
    async with open_provider() as provider, open_runs(ground, PAGED.source) as asked, AsyncExitStack() as stack:
        settings = PAGED.settings(provider, listings)
        started = [await stack.enter_async_context(service(ground, PAGED.module, **settings)) for _ in range(producers)]
        provider.show(next(rounds))
        await asked.run()
        pages = next(rounds)
        provider.show(pages)
        own, broker = sum(family_seconds(one.pid) for one in started), family_seconds(ground.broker_pid)
        await asked.run()
        seconds = time.monotonic() - (provider.answered_at or 0.0)
        spent = sum(family_seconds(one.pid) for one in started) - own
        broker_spent = family_seconds(ground.broker_pid) - broker
    say(f"polled {listings:,} listings by {producers}, {listings / seconds:,.0f} a second")
    return {
        "producer_us_per_listing": 1e6 * spent / listings,
        "producers_broker_us_per_listing": 1e6 * broker_spent / listings,
        "producer_ms_per_page": 1e3 * seconds / len(pages),
    }


async def _waits(ground: Ground) -> Found:
    """Time what is waited for and costs no CPU: a commit that reaches the disk, and an acknowledgement of one record."""
    async with open_publisher(ground.connection) as publisher:
        await _acknowledged(publisher)
        return {
            "commit_ms": median([await _timed(ground) for _ in range(WAITS)]),
            "acknowledged_ms": median([await _acknowledged(publisher) for _ in range(WAITS)]),
        }


async def _timed(ground: Ground) -> float:
    began = time.perf_counter()
    await ground.pool.execute(COMMIT)
    return 1e3 * (time.perf_counter() - began)


async def _acknowledged(publisher: Publisher) -> float:
    began = time.perf_counter()
    await publisher.publish([Record(ASSETS_NORMALIZED.name, b"benchmark", None)])
    return 1e3 * (time.perf_counter() - began)
