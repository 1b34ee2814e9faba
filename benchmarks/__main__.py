"""Measures Kasparro on this machine, against what a user would pick instead and against itself, and writes the page.

make bench ARGS="--report docs/benchmarks.md"       # everything, five times: an hour or so
make bench ARGS="--part ticks --rounds 1 --only Kasparro"
make bench ARGS="--part answers"
make bench ARGS="--part producer --polled 17000"
make bench ARGS="--part freshness --rate 5000 --seconds 20"
make bench ARGS="--part constants --ticks 240000 --listings 80000"
"""

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from enum import StrEnum
from pathlib import Path
from typing import Annotated

import typer

from benchmarks import answering, constants, freshness, ingest, polling
from benchmarks.contenders import CONTENDERS, SERIAL, WHOLE, Contender
from benchmarks.ground import ROOT, Ground, ground
from benchmarks.report import Section, say, write
from benchmarks.ticks import Workload, publish

CHUNKS = (5_000, 20_000)


class Part(StrEnum):
    """What is measured."""

    TICKS = "ticks"
    ANSWERS = "answers"
    PRODUCER = "producer"
    FRESHNESS = "freshness"
    CONSTANTS = "constants"


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
    report: Annotated[Path | None, typer.Option(help="Write the page here, with its pictures beside it")] = None,
) -> None:
    """Measure Kasparro against what a user would pick instead."""
    wanted = [one for one in CONTENDERS if not only or one is SERIAL or any(one.name.startswith(name) for name in only)]
    parts = part or list(Part)
    sections: list[Section] = []
    if Part.TICKS in parts or Part.ANSWERS in parts:
        sections += asyncio.run(_against_others(parts, wanted, Workload(ticks, listings), rounds, chunk or CHUNKS))
    if Part.PRODUCER in parts:
        sections.append(asyncio.run(_on_a_ground(lambda ground_: polling.compare(ground_, polled, rounds))))
    if Part.FRESHNESS in parts:
        sections.append(asyncio.run(_on_a_ground(lambda ground_: freshness.measure(ground_, listings, rate, seconds))))
    if Part.CONSTANTS in parts:
        work = Workload(ticks, listings)
        sections.append(asyncio.run(_on_a_ground(lambda ground_: constants.measure(ground_, work, polled))))
    for section in sections:
        say(f"\n{section.title}\n{section.text}")
    if report is not None:
        write(sections, ROOT / report)


async def _against_others(
    parts: Sequence[Part], contenders: Sequence[Contender], work: Workload, rounds: int, chunks: Sequence[int]
) -> list[Section]:
    sections: list[Section] = []
    async with ground() as ground_:
        newest = await publish(ground_.connection, work)
        say(f"published {work.ticks:,} ticks of {work.listings:,} listings")
        if Part.TICKS in parts:
            sections.append(await ingest.compare(ground_, contenders, work, newest, rounds=rounds, chunks=chunks))
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
