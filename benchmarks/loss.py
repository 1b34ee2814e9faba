"""What is lost when the database cuts a contender's sessions in the middle of work, as a failover or an administrator does.

Sessions are cut when so many rows have been inserted: the count moves while an insert runs, so that a transaction is open then.
A contender that ends is started again at once, as an orchestrator told to restart always would. One that neither ends nor goes
on is looked at for longer than any client here keeps a place in its group for a member that has died; then it is stopped and
started again, for it may hold what it did not acknowledge. What it still does not bring after that is lost.
"""

import asyncio
import time
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from statistics import median
from typing import NamedTuple
from uuid import UUID

import psutil

from benchmarks.contenders import COMMON, Contender, Start, on_empty_tables
from benchmarks.ground import Ground
from benchmarks.ingest import STORED, Left, what_is_left
from benchmarks.processes import is_alive
from benchmarks.report import Section, say
from benchmarks.ticks import Workload

POINTS = (0.25, 0.5, 0.75)
RESTARTS = 10
LOOK_SECONDS = 0.02
STANDSTILL_SECONDS = 60.0
LONGEST_SECONDS = 300.0
CUT = """
    SELECT count(*) FILTER (WHERE pg_terminate_backend(pid)) FROM pg_stat_activity
    WHERE backend_type = 'client backend' AND application_name <> 'benchmark'"""
"""Every session but those of the benchmark's own pool."""

HEAD = "| contender | sessions cut | restarts | missing | wrong | s to the end |\n|---|---|---|---|---|---|"
LINE = "| {name} | {cut} | {restarts} | {missing:,} | {wrong:,} | {seconds:.1f} |"
TEXT = """\
{ticks:,} ticks of {listings:,} listings, {chunk:,} records a chunk. When {points} % of so many rows had been inserted, every
session of the contender was cut with `pg_terminate_backend`. A contender that ended was started again at once, up to {restarts}
times; one that did not go on for {standstill:.0f} s was stopped and started again too, so that what it had not acknowledged came
anew. Sums of {rounds} rounds: *missing* are ticks without a row, *wrong* are listings that do not show their newest tick.
The seconds, a median, are from the first cut to the last row, any wait included.

{table}
"""


class Survived(NamedTuple):
    """One run: the sessions that were cut, how often the contender was started again, what it left, how long it took."""

    cut: int
    restarts: int
    left: Left
    seconds: float


@dataclass(slots=True)
class Orchestrator:
    """Starts a contender again whenever it has ended, but for so many times."""

    start: Start
    restarts: int = field(default=0, init=False)
    _process: psutil.Process | None = field(default=None, init=False)

    async def run(self) -> None:
        """Return when the contender has ended once too often."""
        while True:
            async with self.start() as process:
                self._process = process
                while is_alive(process):  # noqa: ASYNC110 - another process
                    await asyncio.sleep(LOOK_SECONDS)
            if self.restarts == RESTARTS:
                return
            self.restarts += 1

    def stop(self) -> None:
        """Ask the contender to end, and so to be started again."""
        if self._process is not None:
            with suppress(psutil.NoSuchProcess):
                self._process.terminate()


async def measure(
    ground: Ground, contender: Contender, work: Workload, newest: Mapping[str, UUID], *, chunk_records: int
) -> Survived:
    """Let the contender work through the topic on empty tables, and cut its sessions at each point."""
    orchestrator = Orchestrator(await on_empty_tables(ground, contender, chunk_records=chunk_records))
    async with asyncio.TaskGroup() as tasks:
        running = tasks.create_task(orchestrator.run())
        cut, seconds = await _watch(ground, orchestrator, running, work.ticks)
        running.cancel()
    return Survived(cut, orchestrator.restarts, await what_is_left(ground, work, newest), seconds)


async def _watch(ground: Ground, orchestrator: Orchestrator, running: asyncio.Task[None], ticks: int) -> tuple[int, float]:
    """Cut; return how many sessions that were, and the seconds from the first cut to the last row."""
    began = looked = moved = time.monotonic()
    until, cut, seen, due = moved + LONGEST_SECONDS, 0, 0, [int(ticks * share) for share in POINTS]
    was_stopped = False
    while not running.done() and looked < until:
        now, inserted = time.monotonic(), int(await ground.pool.fetchval(STORED))
        if inserted != seen:
            seen, moved, looked, was_stopped = inserted, now, now, False
        elif now - looked > STANDSTILL_SECONDS:
            if was_stopped:
                break
            orchestrator.stop()
            was_stopped, looked = True, now
        if due and inserted >= due[0] and (found := int(await ground.pool.fetchval(CUT))):
            began, cut = (began if cut else now), cut + found
            due.pop(0)
        elif inserted >= ticks and int(await ground.pool.fetchval("SELECT count(*) FROM raw_coingecko")) >= ticks:
            moved = now
            break
        await asyncio.sleep(LOOK_SECONDS)
    return cut, moved - began


async def compare(
    ground: Ground,
    contenders: Sequence[Contender],
    work: Workload,
    newest: Mapping[str, UUID],
    *,
    rounds: int,
    chunk_records: int,
) -> Section:
    """Cut every contender's sessions, once a round; Kasparro's common work alone has nothing that would mend them."""
    runs: dict[str, list[Survived]] = {}
    measured = [one for one in contenders if one is not COMMON]
    for round_ in range(1, rounds + 1):
        for contender in measured:
            run = await measure(ground, contender, work, newest, chunk_records=chunk_records)
            runs.setdefault(contender.name, []).append(run)
            say(
                f"{round_}/{rounds}  {contender.name:<24} {run.cut} sessions cut, {run.restarts} restarts, "
                f"missing {run.left.missing}, wrong {run.left.wrong}, {run.seconds:.1f} s"
            )
    text = TEXT.format(
        ticks=work.ticks,
        listings=work.listings,
        chunk=chunk_records,
        points=", ".join(f"{100 * share:.0f}" for share in POINTS),
        restarts=RESTARTS,
        standstill=STANDSTILL_SECONDS,
        rounds=rounds,
        table="\n".join([HEAD, *(_line(name, held) for name, held in sorted(runs.items(), key=_loss))]),
    )
    return Section("Loss when sessions are cut", text, "", [], [one.peer for one in measured])


def _loss(run: tuple[str, Sequence[Survived]]) -> tuple[int, int, str]:
    name, held = run
    return sum(one.left.missing for one in held), sum(one.left.wrong for one in held), name


def _line(name: str, held: Sequence[Survived]) -> str:
    missing, wrong, _ = _loss((name, held))
    return LINE.format(
        name=name,
        cut=sum(one.cut for one in held),
        restarts=sum(one.restarts for one in held),
        missing=missing,
        wrong=wrong,
        seconds=median(one.seconds for one in held),
    )
