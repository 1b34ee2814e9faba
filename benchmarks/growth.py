"""What a tick costs, and how much memory the normalizer holds, as backlog and tables grow and as more listings tick.

Processor time counts from the first rows to the last, so that starting, which costs the same each time, does not make a short
backlog the dearer one.
"""

from collections.abc import Awaitable, Sequence
from itertools import pairwise, starmap
from typing import NamedTuple
from uuid import UUID

from benchmarks.contenders import SERIAL, WHOLE, on_empty_tables
from benchmarks.crowd import fill
from benchmarks.ground import Ground, ground
from benchmarks.ingest import Look, Measured, measure, measure_from
from benchmarks.report import Section, say
from benchmarks.ticks import Workload, publish

QUARTERS = 4
SETTLED = 0.95
"""Of the looks of a quarter, the share that held no more than what is told: one look's rest is not its memory."""
VERSIONS = "SELECT CASE WHEN is_called THEN last_value ELSE 0 END FROM asset_versions"
BACKLOG_HEAD = """\
| backlog | ticks/s | CPU us a tick | first quarter | last quarter | MiB at 25 % | 50 % | 75 % | 100 % | peak MiB |
|---|---|---|---|---|---|---|---|---|---|"""
LISTINGS_HEAD = """\
| listings | ticks/s | CPU us a tick | versions of assets a tick | peak MiB | R, ticks/s | CPU us a tick | x R |
|---|---|---|---|---|---|---|---|"""
HELD_HEAD = """\
| listings held | ticks/s | CPU us a tick | Postgres's | versions of assets a tick | peak MiB |
|---|---|---|---|---|---|"""
TEXT = """\
The normalizer as it is deployed, {chunk:,} records a chunk, one run each; every tick had a row in the end, and every listing
showed its newest. Processor time is the normalizer's own, from the first rows to the last. *MiB at 25 %* is what it held while it
worked through the first quarter of the backlog: all but a twentieth of the looks, twenty a second, saw no more.

A backlog of {listings:,} listings that grows:

{backlogs}

{ticks:,} ticks of {listings:,} listings, spread evenly over quotes and assets of more and more: whether the same work costs more
where there is more. The tables of raw rows and of history are empty, as above.

{crowds}

{ticks:,} ticks of more and more listings. The more there are, the fewer ticks of a chunk are of one and the same, and the more
versions of assets are made, written and published; a tick is the same work. From the fewest listings to the most, the cost of
a tick grows by {per_version:.0f} us for each version more. R, the loop written by hand that stores raw rows and quotes, had the
same ticks next: a chunk that names fewer listings is less work for it too.

{spreads}
"""


class Quarter(NamedTuple):
    """What a quarter of the ticks took, and what the process held meanwhile."""

    us_per_tick: float | None
    mib: float


class Run(NamedTuple):
    """A backlog that was worked through."""

    work: Workload
    measured: Measured
    versions: int
    by_hand: Measured | None = None
    """R, on the same ticks."""

    @property
    def us_per_tick(self) -> float:
        """Processor time of the normalizer from the first rows to the last."""
        return _cost(self.measured)

    @property
    def us_of_both(self) -> float:
        """The same with Postgres's, from its start on."""
        return self.us_per_tick + self.measured.postgres_us_per_tick

    @property
    def versions_per_tick(self) -> float:
        """How many versions of assets were made."""
        return self.versions / self.work.ticks

    @property
    def quarters(self) -> Sequence[Quarter]:
        """The four quarters of its ticks. In a backlog of a few chunks, some have no figures of their own."""
        return [_quarter(_working(self.measured.looks), number, self.work.ticks) for number in range(QUARTERS)]


class Sizes(NamedTuple):
    """Of what is to grow: ticks of a backlog, listings in the tables (times those that tick), listings that tick."""

    backlogs: Sequence[int]
    crowds: Sequence[int]
    spreads: Sequence[int]


async def compare(sizes: Sizes, work: Workload, *, chunk_records: int) -> Section:
    """Run each size once; of what does not grow there is as much as in the workload."""
    ticks, listings = work
    by_backlog = await _backlogs(sizes.backlogs, listings, chunk_records)
    by_crowd = await _crowds(sizes.crowds, work, chunk_records)
    by_listings = await _spreads(sizes.spreads, ticks, chunk_records)
    smallest, fewest, most = by_backlog[0], by_listings[0], by_listings[-1]
    more_versions = most.versions_per_tick - fewest.versions_per_tick
    text = TEXT.format(
        chunk=chunk_records,
        listings=listings,
        ticks=ticks,
        backlogs="\n".join([BACKLOG_HEAD, *map(_backlog_line, by_backlog)]),
        crowds="\n".join([HELD_HEAD, *starmap(_held_line, by_crowd)]),
        spreads="\n".join([LISTINGS_HEAD, *map(_listings_line, by_listings)]),
        per_version=(most.us_per_tick - fewest.us_per_tick) / more_versions if more_versions else 0.0,
    )
    bars = [(f"cost, backlog of {run.work.ticks:,}", run.us_per_tick / smallest.us_per_tick) for run in by_backlog]
    bars += [(f"peak MiB, the same {run.work.ticks:,}", run.measured.peak_mib / smallest.measured.peak_mib) for run in by_backlog]
    bars += [(f"cost with Postgres's, {held:,} held", run.us_of_both / by_crowd[0][1].us_of_both) for held, run in by_crowd]
    bars += [(f"cost, {run.work.listings:,} listings tick", run.us_per_tick / fewest.us_per_tick) for run in by_listings]
    return Section("Growth", text, "cost of a tick, and memory, as a multiple of the smallest's", bars, [])


async def _backlogs(backlogs: Sequence[int], listings: int, chunk_records: int) -> Sequence[Run]:
    """Work through one topic, from its beginning, as it grows."""
    runs: list[Run] = []
    newest: dict[str, UUID] = {}
    async with ground() as ground_:
        for before, backlog in pairwise((0, *sorted(backlogs))):
            work = Workload(backlog, listings)
            newest |= await publish(ground_.connection, work, beginning=before)
            runs.append(await _run(ground_, work, measure(ground_, WHOLE, work, newest, chunk_records=chunk_records)))
            say(_backlog_line(runs[-1]))
    return runs


async def _crowds(crowds: Sequence[int], work: Workload, chunk_records: int) -> Sequence[tuple[int, Run]]:
    """Work through one topic with tables that hold so many times its listings."""
    runs: list[tuple[int, Run]] = []
    async with ground() as ground_:
        newest = await publish(ground_.connection, work)
        for times in sorted(crowds):
            start = await on_empty_tables(ground_, WHOLE, chunk_records=chunk_records)
            await fill(ground_, work, times)
            runs.append((times * work.listings, await _run(ground_, work, measure_from(start, work, newest))))
            say(_held_line(*runs[-1]))
    return runs


async def _spreads(spreads: Sequence[int], ticks: int, chunk_records: int) -> Sequence[Run]:
    """Work through a topic of so many ticks for each number of listings, with a broker and a database of its own."""
    runs: list[Run] = []
    for listings in sorted(spreads):
        async with ground() as ground_:
            work = Workload(ticks, listings)
            newest = await publish(ground_.connection, work)
            run = await _run(ground_, work, measure(ground_, WHOLE, work, newest, chunk_records=chunk_records))
            by_hand = await measure(ground_, SERIAL, work, newest, chunk_records=chunk_records)
            runs.append(run._replace(by_hand=_right(by_hand, work)))
            say(_listings_line(runs[-1]))
    return runs


async def _run(ground_: Ground, work: Workload, measuring: Awaitable[Measured]) -> Run:
    before = await _versions(ground_)
    measured = _right(await measuring, work)
    return Run(work, measured, await _versions(ground_) - before)


async def _versions(ground_: Ground) -> int:
    return int(await ground_.pool.fetchval(VERSIONS))


def _right(measured: Measured, work: Workload) -> Measured:
    if measured.missing or measured.wrong:
        raise SystemExit(f"error: of {work.ticks:,} ticks {measured.missing} are missing; {measured.wrong} listings are wrong")
    return measured


def _cost(measured: Measured) -> float:
    return _us_per_tick(_working(measured.looks)) or measured.cpu_us_per_tick


def _working(looks: Sequence[Look]) -> Sequence[Look]:
    """Leave out what was before the first rows."""
    first = next(number for number, look in enumerate(looks) if look.inserted)
    return looks[first:]


def _us_per_tick(looks: Sequence[Look]) -> float | None:
    """Return None when nothing was stored between the looks."""
    ticks = looks[-1].inserted - looks[0].inserted
    return 1e6 * (looks[-1].cpu_seconds - looks[0].cpu_seconds) / ticks if ticks else None


def _quarter(looks: Sequence[Look], number: int, ticks: int) -> Quarter:
    low, high = (ticks * edge / QUARTERS for edge in (number, number + 1))
    inside = [look for look in looks if low < look.inserted <= high] or [min(looks, key=lambda look: abs(look.inserted - high))]
    held = sorted(look.rss for look in inside)
    return Quarter(_us_per_tick(inside), held[int(SETTLED * (len(held) - 1))] / 2**20)


def _backlog_line(run: Run) -> str:
    first, *_, last = run.quarters
    costs = " | ".join("-" if cost is None else f"{cost:.0f}" for cost in (run.us_per_tick, first.us_per_tick, last.us_per_tick))
    held = " | ".join(f"{quarter.mib:.0f}" for quarter in run.quarters)
    speed, peak = run.measured.ticks_per_second, run.measured.peak_mib
    return f"| {run.work.ticks:,} | {speed:,.0f} | {costs} | {held} | {peak:.0f} |"


def _held_line(held: int, run: Run) -> str:
    speed, peak = run.measured.ticks_per_second, run.measured.peak_mib
    ours, theirs = run.us_per_tick, run.measured.postgres_us_per_tick
    return f"| {held:,} | {speed:,.0f} | {ours:.1f} | {theirs:.1f} | {run.versions_per_tick:.2f} | {peak:.0f} |"


def _listings_line(run: Run) -> str:
    speed, peak = run.measured.ticks_per_second, run.measured.peak_mib
    ours = f"| {run.work.listings:,} | {speed:,.0f} | {run.us_per_tick:.0f} | {run.versions_per_tick:.2f} | {peak:.0f} |"
    if (hand := run.by_hand) is None:
        return ours
    return f"{ours} {hand.ticks_per_second:,.0f} | {_cost(hand):.0f} | {speed / hand.ticks_per_second:.2f} |"
