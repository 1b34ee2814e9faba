"""Measures Kasparro on this machine, against what a user would pick instead and against itself, and writes the page.

make bench ARGS="--report docs/benchmarks.md"       # everything, five times: an hour or so
make bench ARGS="--part ticks --rounds 1 --only Kasparro"
make bench ARGS="--part loss"
make bench ARGS="--part quotes"
make bench ARGS="--part answers"
make bench ARGS="--part producer --polled 17000"
make bench ARGS="--part freshness --rate 5000 --seconds 20"
make bench ARGS="--part paging --listings 15000 --ticks 300000"
make bench ARGS="--part growth --backlog 100000 --backlog 2000000 --spread 1000 --spread 100000"
make bench ARGS="--part scaling --replicas 1 --replicas 2 --replicas 3"
"""

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from enum import StrEnum
from pathlib import Path
from typing import Annotated

import typer

from benchmarks import answering, freshness, growth, ingest, loss, paging, polling, scaling, upserting
from benchmarks.contenders import CONTENDERS, SERIAL, WHOLE, Contender
from benchmarks.ground import ROOT, Ground, ground
from benchmarks.report import Section, say, write
from benchmarks.ticks import Workload, publish

CHUNKS = (5_000, 20_000)
BACKLOGS = (100_000, 2_000_000)
SPREADS = (1_000, 15_000, 100_000)
REPLICAS = (1, 2, 3)


class Part(StrEnum):
    """What is measured."""

    TICKS = "ticks"
    LOSS = "loss"
    QUOTES = "quotes"
    ANSWERS = "answers"
    PRODUCER = "producer"
    FRESHNESS = "freshness"
    PAGING = "paging"
    GROWTH = "growth"
    SCALING = "scaling"


def main(
    *,
    part: Annotated[list[Part] | None, typer.Option(help="Measure this only")] = None,
    only: Annotated[list[str] | None, typer.Option(help="Contenders whose name begins like this, and R")] = None,
    ticks: Annotated[int, typer.Option(help="How many ticks are in the topic")] = 300_000,
    listings: Annotated[int, typer.Option(help="Of how many listings")] = 15_000,
    polled: Annotated[int, typer.Option(help="Listings of a provider, for the producer")] = 17_000,
    rate: Annotated[int, typer.Option(help="Ticks a second, for the freshness")] = 5_000,
    seconds: Annotated[float, typer.Option(help="For how long")] = 20.0,
    rounds: Annotated[int, typer.Option(help="How often each contender is run")] = 5,
    chunk: Annotated[list[int] | None, typer.Option(help="Records at a time; several times for several sizes")] = None,
    backlog: Annotated[list[int] | None, typer.Option(help="Ticks of a backlog, for the growth; several times")] = None,
    spread: Annotated[list[int] | None, typer.Option(help="Listings of so many ticks, for the growth; several times")] = None,
    replicas: Annotated[list[int] | None, typer.Option(help="How many of a process, for the scaling; several times")] = None,
    report: Annotated[Path | None, typer.Option(help="Write the page here, with its pictures beside it")] = None,
) -> None:
    """Measure Kasparro against what a user would pick instead."""
    wanted = [one for one in CONTENDERS if one is SERIAL or _is_wanted(one, only)]
    parts, sizes, work = part or list(Part), chunk or CHUNKS, Workload(ticks, listings)
    sections: list[Section] = []
    if {Part.TICKS, Part.LOSS, Part.ANSWERS} & set(parts):
        sections += asyncio.run(_against_others(parts, wanted, work, rounds, sizes))
    if Part.QUOTES in parts:
        quoting = [one for one in upserting.CONTENDERS if one is upserting.LOOP or _is_wanted(one, only)]
        sections.append(
            asyncio.run(_on_a_ground(lambda ground_: upserting.compare(ground_, quoting, work, rounds=rounds, chunks=sizes)))
        )
    if Part.PRODUCER in parts:
        sections.append(asyncio.run(_on_a_ground(lambda ground_: polling.compare(ground_, polled, rounds))))
    if Part.FRESHNESS in parts:
        sections.append(asyncio.run(_on_a_ground(lambda ground_: freshness.measure(ground_, listings, rate, seconds))))
    if Part.PAGING in parts:
        sections.append(asyncio.run(_on_a_ground(lambda ground_: paging.compare(ground_, listings, ticks, rounds))))
    if Part.GROWTH in parts:
        growing = growth.compare(backlog or BACKLOGS, listings, spread or SPREADS, ticks, chunk_records=(chunk or CHUNKS)[0])
        sections.append(asyncio.run(growing))
    if Part.SCALING in parts:
        work, counts = Workload(ticks, listings), replicas or REPLICAS
        sections.append(asyncio.run(_on_a_ground(lambda ground_: scaling.compare(ground_, work, polled, counts))))
    for section in sections:
        say(f"\n{section.title}\n{section.text}")
    if report is not None:
        write(sections, ROOT / report)


def _is_wanted(contender: Contender, only: Sequence[str] | None) -> bool:
    return not only or any(contender.name.startswith(name) for name in only)


async def _against_others(
    parts: Sequence[Part], contenders: Sequence[Contender], work: Workload, rounds: int, chunks: Sequence[int]
) -> list[Section]:
    sections: list[Section] = []
    async with ground() as ground_:
        newest = await publish(ground_.connection, work)
        say(f"published {work.ticks:,} ticks of {work.listings:,} listings")
        if Part.TICKS in parts:
            sections.append(await ingest.compare(ground_, contenders, work, newest, rounds=rounds, chunks=chunks))
        if Part.LOSS in parts:
            sections.append(await loss.compare(ground_, contenders, work, newest, rounds=rounds, chunk_records=chunks[0]))
        if Part.ANSWERS in parts:
            await ingest.measure(ground_, WHOLE, work, newest, chunk_records=chunks[0])  # which fills the tables
            sections.append(await answering.compare(ground_, rounds))
    return sections


async def _on_a_ground(measure: Callable[[Ground], Awaitable[Section]]) -> Section:
    """Measure one thing with a broker and a database that nothing else has used."""
    async with ground() as ground_:
        return await measure(ground_)


if __name__ == "__main__":
    typer.run(main)
