"""Reckons and simulates what no single machine can be measured for. Pure: it starts nothing and needs nothing.

python -m benchmarks.simulation --listings 1000000 --every 1                        # what it takes, and whether that holds
python -m benchmarks.simulation --listings 100000 --replicas 8 --replicas 12 --replicas 16 --partitions 48
python -m benchmarks.simulation --listings 1000000 --raw-table-hours 1 --page-rows 10000 --json
python -m benchmarks.simulation --validate                                          # beside what was measured
python -m benchmarks.simulation --constants measured.txt --listings 50000           # with what --part constants has printed
"""

import json
import math
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Annotated

import typer

from benchmarks.simulation.constants import Constants
from benchmarks.simulation.pipeline import LANES
from benchmarks.simulation.scenario import Outcome, Scenario, simulate
from benchmarks.simulation.sizing import Plan, normalizers, page_seconds, postgres_servers, size, wal_bytes
from benchmarks.simulation.validation import compare

HEAD = (
    "| partitions | replicas | Postgres servers | applied/s | lag p50 ms | p99 ms | ticks a chunk | thread | cores | WAL | |\n"
    "|---|---|---|---|---|---|---|---|---|---|---|"
)
HOURS_A_DAY = 24
POLLING = 0.8
"""Share of the interval that a poll may take."""


def main(
    *,
    listings: Annotated[int, typer.Option(help="Polled each time, all sources together")] = 1_000_000,
    every: Annotated[float, typer.Option(help="Seconds from one poll to the next")] = 1.0,
    changed: Annotated[float, typer.Option(help="Share of them that has changed each time", min=0.001, max=1)] = 1.0,
    page_rows: Annotated[int, typer.Option(help="Rows of a provider's answer, which are one transaction")] = 250,
    partitions: Annotated[list[int] | None, typer.Option(help="Several times: several rows; else two for each replica")] = None,
    replicas: Annotated[list[int] | None, typer.Option(help="Normalizers; else half of, and what is reckoned")] = None,
    postgres: Annotated[int | None, typer.Option(help="Postgres servers; else what is reckoned")] = None,
    postgres_cores: Annotated[int, typer.Option(help="Cores of each")] = 32,
    raw_days: Annotated[float, typer.Option(help="Days that raw rows are kept")] = 30.0,
    raw_table_hours: Annotated[float | None, typer.Option(help="Hours a raw table holds; 0: raw rows are elsewhere")] = None,
    seconds: Annotated[float, typer.Option(help="Simulated time")] = 10.0,
    seed: Annotated[int, typer.Option(help="Of how listings fall on partitions")] = 1,
    constants: Annotated[Path | None, typer.Option(help="What --part constants has printed")] = None,
    validate: Annotated[bool, typer.Option("--validate", help="Simulate what was measured instead")] = False,
    as_json: Annotated[bool, typer.Option("--json", help="For scripts")] = False,
) -> None:
    """Say what a load needs, and simulate how far behind a deployment is under it."""
    measured = Constants() if constants is None else Constants.read(constants.read_text())
    if validate:
        _say_how_far_off(measured, as_json=as_json)
        return
    hours = None if raw_table_hours is None else raw_table_hours / HOURS_A_DAY
    load = Plan(listings, every, changed, page_rows, raw_days=raw_days, raw_table_days=hours, postgres_cores=postgres_cores)
    needed = normalizers(load, measured)
    plans = [
        (count, replace(load, partitions=width))
        for count in replicas or sorted({max(1, needed // 2), needed})
        for width in partitions or [LANES * count]
    ]
    alike = replace(_scenario(load, measured), seconds=seconds, seed=seed)
    servers = postgres or postgres_servers(load, measured)
    scenarios = [
        replace(alike, replicas=count, partitions=plan.partitions, postgreses=min(servers, plan.partitions))
        for count, plan in plans
    ]
    _say(plans[-1][1], measured, [(one, simulate(one, measured)) for one in scenarios], as_json=as_json)


def _scenario(plan: Plan, measured: Constants) -> Scenario:
    return Scenario(
        listings=max(1, round(plan.listings * plan.changed)),
        every_seconds=plan.every_seconds,
        producers=math.ceil(plan.pages * page_seconds(plan.page_rows, measured) / POLLING),
        page_rows=max(1, round(plan.page_rows * plan.changed)),
        postgres_cores=plan.postgres_cores,
        wal_bytes_per_tick=wal_bytes(plan, measured),
    )


def _say(plan: Plan, measured: Constants, outcomes: Sequence[tuple[Scenario, Outcome]], *, as_json: bool) -> None:
    lines = size(plan, measured)
    if as_json:
        simulated = [
            {name: getattr(scenario, name) for name in ("partitions", "replicas", "postgreses")} | outcome._asdict()
            for scenario, outcome in outcomes
        ]
        print(json.dumps({"needed": [line._asdict() for line in lines], "simulated": simulated}, indent=2))
        return
    load = f"{plan.listings:,} listings every {plan.every_seconds:g} s, {100 * plan.changed:.0f} % changed"
    print(f"{load}, {plan.page_rows:,} a page, {plan.partitions} partitions\n")
    print("| part | what | needed | |\n|---|---|---|---|")
    for line in lines:
        print(f"| {line.part} | {line.what} | {line.amount:,.1f} | {line.unit} |")
    print(f"\n{HEAD}")
    for scenario, outcome in outcomes:
        print(_row(scenario, outcome))


def _row(scenario: Scenario, outcome: Outcome) -> str:
    busy = " | ".join(f"{100 * share:.0f} %" for share in (outcome.thread_busy, outcome.postgres_busy, outcome.wal_busy))
    return (
        f"| {scenario.partitions} | {scenario.replicas} | {scenario.postgreses} | {outcome.applied_per_second:,.0f} "
        f"| {outcome.lag_p50_ms:,.0f} | {outcome.lag_p99_ms:,.0f} | {outcome.chunk_ticks:,.0f} | {busy} "
        f"| {outcome.verdict} |"
    )


def _say_how_far_off(measured: Constants, *, as_json: bool) -> None:
    compared = compare(measured)
    if as_json:
        print(json.dumps([one._asdict() | {"off_percent": one.off_percent} for one in compared], indent=2))
        return
    print("| on 2 cores | measured | simulated | off |\n|---|---|---|---|")
    for one in compared:
        print(f"| {one.what} | {one.measured:,.0f} {one.unit} | {one.simulated:,.0f} {one.unit} | {one.off_percent:+.0f} % |")


if __name__ == "__main__":
    typer.run(main)
