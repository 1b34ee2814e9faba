"""How long a tick takes from its publication until a reader of the HTTP API sees it, in a steady stream and alone.

The clock begins before the tick is handed to the publisher. Probes are ticks of the stream itself, asked for over HTTP until
the answer names them; one that is not seen before its listing's next tick counts with the time until then.
"""

import asyncio
import time
from collections.abc import Iterator, Mapping, Sequence
from itertools import islice
from statistics import median
from typing import NamedTuple

from benchmarks.answering import KASPARRO, serving
from benchmarks.ground import Ground
from benchmarks.load import read_answer
from benchmarks.processes import service
from benchmarks.report import Section, say
from benchmarks.ticks import TOPIC, Workload, make
from libs.contracts.raw_tick import encode_raw_tick
from libs.kafka.publishing import Publisher, open_publisher
from libs.kafka.records import Record

SLICE_SECONDS = 0.02
PROBE_SECONDS = 0.1
ASK_SECONDS, ASK_SHARE = 0.02, 0.05
"""How often is asked: or else a twentieth of the time that has passed, or those who wait long would take the cores."""
WARM_SECONDS = 120
LONE_TICKS = 20
LONE_PAUSE_SECONDS = 0.2
P50_MS, P99_MS, LONE_MS = 150, 600, 250
"""What is aimed at."""
HEAD = "| | ticks/s sent | p50 ms | p99 ms | probes | not seen in time |\n|---|---|---|---|---|---|"
LINE = "| {name} | {sent:,.0f} | {p50:.0f} | {p99:.0f} | {probes} | {unseen} |"
TEXT = """\
Ticks of {listings:,} listings in a steady stream for {seconds:.0f} s at each rate, published by the benchmark with the
producers' publisher every {slice_:.0f} ms; one normalizer, one query service, broker and Postgres on the same cores, and the
client that asks. In it: Kafka, the normalizer, Postgres, `GET /data/{{asset_uid}}` (asked every {ask:.0f} ms, or a twentieth
of the time waited).
Not in it: the producer's own work between the provider's answer and the publication. *Not seen in time*: not before the
listing's next tick, which counts with the time until then. Then {lone} lone ticks with nothing else under way; their p99 is
the slowest. Aimed at: p50 {p50_aim} ms and p99 {p99_aim} ms in a stream, {lone_aim} ms for a lone tick.

{table}
"""


class Tick(NamedTuple):
    """A tick to publish, and how to recognise it."""

    asset_uid: str
    named: bytes
    record: Record


def ticks_of(work: Workload) -> Iterator[Tick]:
    """Make the ticks of the workload as records."""
    for frame in make(work):
        record = Record(TOPIC, frame.asset_uid.encode(), encode_raw_tick(frame))
        yield Tick(frame.asset_uid, str(frame.tick_id).encode(), record)


class Streamed(NamedTuple):
    """Milliseconds of each probe, in rising order; how many were not seen in time; and ticks a second as they were sent."""

    took_ms: Sequence[float]
    unseen: int
    per_second: float

    @property
    def p50(self) -> float:
        """Half were seen sooner."""
        return median(self.took_ms)

    @property
    def p99(self) -> float:
        """All but a hundredth were; of fewer than a hundred, all but the slowest."""
        return self.took_ms[len(self.took_ms) * 99 // 100]


async def measure(ground: Ground, listings: int, rates: Sequence[int], seconds: float) -> Section:
    """Give each listing a first tick, stream for so long at each rate, and then send ticks one by one."""
    streams: dict[int, Streamed] = {}
    made = ticks_of(Workload(2 * listings + sum(int(rate * seconds) for rate in rates), listings))
    async with (
        service(ground, "services.normalizer", NORMALIZER_HEALTH_PORT="0", RAW_RETENTION_DAYS="0"),
        serving(ground, KASPARRO) as port,
        open_publisher(ground.connection) as publisher,
    ):
        await publisher.publish([tick.record for tick in islice(made, listings)])
        sent = listings
        await _stored(ground, sent)
        say(f"{listings:,} listings are there")
        for rate in rates:
            ticks = list(islice(made, int(rate * seconds)))
            streams[rate] = await _stream(publisher, port, ticks, rate, until_next=listings / rate)
            sent += len(ticks)
            await _stored(ground, sent)
            say(f"{rate:,} ticks/s: p50 {streams[rate].p50:.0f} ms, p99 {streams[rate].p99:.0f} ms")
        probes = islice(_alone_in_their_asset(made, listings), LONE_TICKS)
        alone = Streamed(sorted([await _lone(publisher, port, tick) for tick in probes]), 0, 0.0)
    return _section(streams, alone, listings, seconds)


def _section(streams: Mapping[int, Streamed], alone: Streamed, listings: int, seconds: float) -> Section:
    lines = [*(_line(f"in a stream of {rate:,}/s", one) for rate, one in streams.items()), _line("a lone tick", alone)]
    text = TEXT.format(
        listings=listings,
        seconds=seconds,
        slice_=1_000 * SLICE_SECONDS,
        ask=1_000 * ASK_SECONDS,
        lone=len(alone.took_ms),
        p50_aim=P50_MS,
        p99_aim=P99_MS,
        lone_aim=LONE_MS,
        table="\n".join([HEAD, *lines]),
    )
    bars = [
        bar
        for rate, one in streams.items()
        for bar in ((f"{rate:,}/s, p50", one.p50 / P50_MS), (f"{rate:,}/s, p99", one.p99 / P99_MS))
    ]
    bars.append(("lone tick, p50", alone.p50 / LONE_MS))
    return Section("Freshness", text, "milliseconds as a share of what is aimed at", bars, [])


def _line(name: str, one: Streamed) -> str:
    return LINE.format(name=name, sent=one.per_second, p50=one.p50, p99=one.p99, probes=len(one.took_ms), unseen=one.unseen)


def _alone_in_their_asset(ticks: Iterator[Tick], listings: int) -> Iterator[Tick]:
    """Leave out the listings whose symbol another one has: their asset need not show them."""
    return (tick for tick in ticks if _is_probe(tick, listings))


def _is_probe(tick: Tick, listings: int) -> bool:
    return int(tick.asset_uid.removeprefix("sym")) >= listings - listings * 9 // 10


async def _stream(publisher: Publisher, port: int, ticks: Sequence[Tick], rate: int, *, until_next: float) -> Streamed:
    """Publish at the rate, whatever became of what was published before."""
    began = time.perf_counter()
    sent, probed = 0, 0.0
    listings = round(until_next * rate)
    async with asyncio.TaskGroup() as tasks:
        probes: list[asyncio.Task[float | None]] = []
        while sent < len(ticks):
            now = time.perf_counter()
            due = ticks[sent : int((now - began) * rate)]
            probe = next((tick for tick in due if _is_probe(tick, listings)), None)
            if probe is not None and now - probed >= PROBE_SECONDS:
                probes.append(tasks.create_task(_seen(port, probe, now, until_next)))
                probed = now
            tasks.create_task(_publish(publisher, due))
            sent += len(due)
            await asyncio.sleep(max(0.0, now + SLICE_SECONDS - time.perf_counter()))
        elapsed = time.perf_counter() - began
    took = [probe.result() for probe in probes]
    told = sorted(1_000 * (until_next if one is None else one) for one in took)
    return Streamed(told, took.count(None), sent / elapsed)


async def _publish(publisher: Publisher, ticks: Sequence[Tick]) -> None:
    await publisher.publish([tick.record for tick in ticks])


async def _lone(publisher: Publisher, port: int, tick: Tick) -> float:
    """Return the milliseconds of a tick that nothing is beside."""
    await asyncio.sleep(LONE_PAUSE_SECONDS)
    began = time.perf_counter()
    await _publish(publisher, [tick])
    seconds = await _seen(port, tick, began, WARM_SECONDS)
    if seconds is None:
        raise SystemExit(f"error: a lone tick of {tick.asset_uid} has not been seen")
    return 1_000 * seconds


async def _seen(port: int, tick: Tick, began: float, within: float) -> float | None:
    """Ask until the answer names the tick; return the seconds since it was published, None when that took too long."""
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    try:
        while time.perf_counter() < began + within:
            writer.write(f"GET /data/{tick.asset_uid} HTTP/1.1\r\nHost: 127.0.0.1:{port}\r\nAccept: */*\r\n\r\n".encode())
            if tick.named in await read_answer(reader):
                return time.perf_counter() - began
            await asyncio.sleep(max(ASK_SECONDS, ASK_SHARE * (time.perf_counter() - began)))
        return None
    finally:
        writer.close()


async def _stored(ground: Ground, ticks: int) -> None:
    async with asyncio.timeout(WARM_SECONDS):
        while await ground.pool.fetchval("SELECT count(*) FROM raw_coingecko") < ticks:  # noqa: ASYNC110 - another process
            await asyncio.sleep(0.2)
