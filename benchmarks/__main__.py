"""Measures Kasparro on this machine, against what a user would pick instead and against itself, and writes the page.

make bench ARGS="--report docs/benchmarks.md"       # everything, five times: an hour or so
make bench ARGS="--part ticks --rounds 1 --only Kasparro"
make bench ARGS="--part loss"
make bench ARGS="--part quotes"
make bench ARGS="--part answers"
make bench ARGS="--part producer --polled 17000"
make bench ARGS="--part freshness --rate 2000 --rate 5000 --seconds 20"
make bench ARGS="--part paging --listings 15000 --ticks 300000"
make bench ARGS="--part history --held 2000 --months 3"
make bench ARGS="--part growth --backlog 100000 --backlog 2000000 --spread 1000 --spread 100000"
make bench ARGS="--part scaling --replicas 1 --replicas 2 --replicas 3"
make bench ARGS="--part stream --clients 1000 --changes 1000 --seconds 20"
make bench ARGS="--part constants --ticks 240000 --listings 80000"
"""

import asyncio
from pathlib import Path
from typing import Annotated

import typer

from benchmarks.ground import ROOT
from benchmarks.growth import Sizes
from benchmarks.parts import Asked, Part, measure
from benchmarks.report import say, write
from benchmarks.ticks import Workload

CHUNKS = (5_000, 20_000)
BACKLOGS = (100_000, 2_000_000)
CROWDS = (1, 10, 100)
SPREADS = (1_000, 15_000, 100_000)
REPLICAS = (1, 2, 3)
RATES = (2_000, 3_000, 4_000, 5_000)


def main(
    *,
    part: Annotated[list[Part] | None, typer.Option(help="Measure this only")] = None,
    only: Annotated[list[str] | None, typer.Option(help="Contenders whose name begins like this, and R")] = None,
    ticks: Annotated[int, typer.Option(help="How many ticks are in the topic")] = 300_000,
    listings: Annotated[int, typer.Option(help="Of how many listings")] = 15_000,
    polled: Annotated[int, typer.Option(help="Listings of a provider, for the producer")] = 17_000,
    held: Annotated[int, typer.Option(help="Listings with a history, two an asset")] = 2_000,
    months: Annotated[int, typer.Option(help="Of how many months")] = 3,
    rate: Annotated[list[int] | None, typer.Option(help="Ticks a second, for the freshness; several times")] = None,
    seconds: Annotated[float, typer.Option(help="For how long")] = 20.0,
    rounds: Annotated[int, typer.Option(help="How often each contender is run")] = 5,
    chunk: Annotated[list[int] | None, typer.Option(help="Records at a time; several times for several sizes")] = None,
    backlog: Annotated[list[int] | None, typer.Option(help="Ticks of a backlog, for the growth; several times")] = None,
    crowd: Annotated[
        list[int] | None, typer.Option(help="Tables of so many times the listings, for the growth; several times")
    ] = None,
    spread: Annotated[list[int] | None, typer.Option(help="Listings that tick, for the growth; several times")] = None,
    replicas: Annotated[list[int] | None, typer.Option(help="How many of a process, for the scaling; several times")] = None,
    clients: Annotated[int, typer.Option(help="Clients of the stream")] = 1_000,
    changes: Annotated[int, typer.Option(help="Changes of assets a second, for the stream")] = 1_000,
    report: Annotated[Path | None, typer.Option(help="Write the page here, with its pictures beside it")] = None,
) -> None:
    """Measure Kasparro against what a user would pick instead."""
    asked = Asked(
        only=only or (),
        work=Workload(ticks, listings),
        polled=polled,
        held=held,
        months=months,
        rates=rate or RATES,
        seconds=seconds,
        rounds=rounds,
        chunks=chunk or CHUNKS,
        sizes=Sizes(backlog or BACKLOGS, crowd or CROWDS, spread or SPREADS),
        replicas=replicas or REPLICAS,
        clients=clients,
        changes=changes,
    )
    asyncio.run(_measure(part or list(Part), asked, report))


async def _measure(parts: list[Part], asked: Asked, report: Path | None) -> None:
    sections = []
    async for section in measure(parts, asked):
        say(f"\n{section.title}\n{section.text}")
        sections.append(section)
    if report is not None:
        write(sections, ROOT / report)


if __name__ == "__main__":
    typer.run(main)
