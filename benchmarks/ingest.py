"""How many ticks a second a contender applies, in a process of its own, and whether what it leaves is right.

The clock runs from the first rows that a reader sees to the last, so that start-up and joining the group do not count. A
contender that makes no progress for a while is ended, and what it lost is counted.
"""

import asyncio
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from statistics import median
from typing import NamedTuple
from uuid import UUID

import psutil

from benchmarks.contenders import SERIAL, Contender, Start, on_empty_tables
from benchmarks.ground import Ground
from benchmarks.meters import family_seconds
from benchmarks.processes import cpu_seconds, is_alive
from benchmarks.report import Section, say
from benchmarks.ticks import Workload

LOOK_SECONDS = 0.05
STANDSTILL_SECONDS = 30.0
HEAD = """\
| records a chunk | contender | x R | ticks/s | least to most | CPU us a tick | peak MiB | missing | wrong |
|---|---|---|---|---|---|---|---|---|"""
LINE = (
    "| {chunk:,} | {name} | {ratio:.2f} | {speed:,.0f} | {least:,.0f} to {most:,.0f} "
    "| {cpu:.0f} | {mib:.0f} | {missing} | {wrong} |"
)
TEXT = """\
{ticks:,} ticks of some 350 bytes, {listings:,} listings, every tick new and moving its quote; one process; broker and
Postgres on the same machine, fsync on. R, a serial loop written by hand, is 1. Medians of {rounds} rounds, each with every
contender once; of *missing* (ticks without a row) and *wrong* (listings that do not show their newest tick) the worst.

{table}

{contenders}

Kasparro's processes let Python look for cycles of objects seldom (`libs/process/shutdown.py`); peers run as they come. Its chunks
have `CHUNK_BYTES` at most too, which are 8 MiB: some 14,000 of these ticks.
"""
STORED = "SELECT CASE WHEN is_called THEN last_value ELSE 0 END FROM raw_coingecko_record_id_seq"
"""How many rows have been inserted, committed or not: as cheap as a look can be. No tick of a workload is there twice."""


class Look(NamedTuple):
    """How things stood at a moment: rows inserted, committed or not, and what the process held and had used by then."""

    at: float
    inserted: int
    rss: int
    cpu_seconds: float


class Left(NamedTuple):
    """What a contender left: `missing` counts ticks without a row; `wrong` listings that do not show their newest tick."""

    missing: int
    wrong: int


@dataclass(frozen=True, slots=True)
class Measured:
    """One run. `missing` and `wrong` are as in Left."""

    ticks_per_second: float
    cpu_us_per_tick: float
    peak_mib: float
    missing: int
    wrong: int
    looks: Sequence[Look]
    postgres_us_per_tick: float


async def measure(
    ground: Ground, contender: Contender, work: Workload, newest: Mapping[str, UUID], *, chunk_records: int
) -> Measured:
    """Let the contender work through the topic on empty tables."""
    return await measure_from(await on_empty_tables(ground, contender, chunk_records=chunk_records), work, newest)


async def measure_from(start: Start, work: Workload, newest: Mapping[str, UUID]) -> Measured:
    """Let a contender work through the topic on the tables as they are, which have no raw rows."""
    ground = start.ground
    before = family_seconds(ground.postgres_pid)
    async with start() as process:
        seconds, first, looks = await _watch(ground, process, work.ticks)
        postgres = family_seconds(ground.postgres_pid) - before
    left = await what_is_left(ground, work, newest)
    stored = work.ticks - left.missing
    return Measured(
        ticks_per_second=(stored - first) / seconds,
        cpu_us_per_tick=1e6 * looks[-1].cpu_seconds / max(1, stored),
        peak_mib=max(look.rss for look in looks) / 2**20,
        missing=left.missing,
        wrong=left.wrong,
        looks=looks,
        postgres_us_per_tick=1e6 * postgres / max(1, stored),
    )


async def what_is_left(ground: Ground, work: Workload, newest: Mapping[str, UUID]) -> Left:
    """Compare the tables with what the workload should have left in them."""
    stored = int(await ground.pool.fetchval("SELECT count(*) FROM raw_coingecko"))
    return Left(work.ticks - stored, await wrong_quotes(ground, newest))


async def wrong_quotes(ground: Ground, newest: Mapping[str, UUID]) -> int:
    """Count the listings that do not show their newest tick."""
    rows = await ground.pool.fetch("SELECT source_id, tick_id FROM quotes WHERE source_id = ANY($1::text[])", list(newest))
    shown = {row["source_id"]: row["tick_id"] for row in rows}
    return sum(shown.get(listing) != tick_id for listing, tick_id in newest.items())


async def _watch(ground: Ground, process: psutil.Process, ticks: int) -> tuple[float, int, Sequence[Look]]:
    """Return the seconds from the first rows to the last ones, how many the first were, and what was seen on the way."""
    first, began, moved = 0, 0.0, time.monotonic()
    looks: list[Look] = []
    while True:
        if not is_alive(process):
            raise SystemExit("error: the contender has ended by itself; its words are above")
        now, inserted = time.monotonic(), int(await ground.pool.fetchval(STORED))
        if inserted and not first and (first := int(await ground.pool.fetchval("SELECT count(*) FROM raw_coingecko"))):
            began = now
        if looks and inserted != looks[-1].inserted:
            moved = now
        looks.append(Look(now, inserted, process.memory_info().rss, cpu_seconds(process)))
        if inserted >= ticks and int(await ground.pool.fetchval("SELECT count(*) FROM raw_coingecko")) >= ticks:
            return time.monotonic() - began, first, looks
        if now - moved > STANDSTILL_SECONDS:
            return moved - began, first, looks
        await asyncio.sleep(LOOK_SECONDS)


async def compare(
    ground: Ground,
    contenders: Sequence[Contender],
    work: Workload,
    newest: Mapping[str, UUID],
    *,
    rounds: int,
    chunks: Sequence[int],
) -> Section:
    """Run every contender once a round and chunk size, so that what the machine does meanwhile meets all of them alike."""
    runs: Runs = {}
    for round_ in range(1, rounds + 1):
        for chunk in chunks:
            for contender in contenders:
                run = await measure(ground, contender, work, newest, chunk_records=chunk)
                runs.setdefault((contender.name, chunk), []).append(run)
                say(
                    f"{round_}/{rounds}  {chunk:>6} a chunk  {contender.name:<24} {run.ticks_per_second:>8,.0f} ticks/s  "
                    f"{run.cpu_us_per_tick:>5.0f} us CPU  {run.peak_mib:>5.0f} MiB  missing {run.missing}, wrong {run.wrong}"
                )
    table = "\n".join(
        [HEAD, *(_line(runs, *place) for place in sorted(runs, key=lambda place: (place[1], -_ratio(runs, *place))))]
    )
    told = "\n".join(f"- **{one.name}**: {one.what}" for one in contenders)
    text = TEXT.format(ticks=work.ticks, listings=work.listings, rounds=rounds, table=table, contenders=told)
    bars = [(f"{name}, {chunk:,}", _ratio(runs, name, chunk)) for name, chunk in runs]
    return Section("Ticks into Postgres", text, "speed as a multiple of R's", bars, [one.peer for one in contenders])


Runs = dict[tuple[str, int], list[Measured]]
"""All runs, by contender's name and records a chunk; the nth of each belong together."""


def _ratio(runs: Runs, name: str, chunk: int) -> float:
    """Return the median, over the rounds, of a contender's speed as a multiple of R's in the same round."""
    both = zip(runs[name, chunk], runs[SERIAL.name, chunk], strict=True)
    return median(run.ticks_per_second / serial.ticks_per_second for run, serial in both)


def _line(runs: Runs, name: str, chunk: int) -> str:
    held = runs[name, chunk]
    speeds = [run.ticks_per_second for run in held]
    return LINE.format(
        chunk=chunk,
        name=name,
        ratio=_ratio(runs, name, chunk),
        speed=median(speeds),
        least=min(speeds),
        most=max(speeds),
        cpu=median(run.cpu_us_per_tick for run in held),
        mib=max(run.peak_mib for run in held),
        missing=max(run.missing for run in held),
        wrong=max(run.wrong for run in held),
    )
