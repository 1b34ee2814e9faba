"""How long a page takes at the beginning of a list, in its middle and at its end, walked by its cursors.

One client asks for one page at a time, as who copies a list does. Each walk must meet every row exactly once.
"""

from collections.abc import Sequence
from statistics import median
from typing import NamedTuple, get_args

from benchmarks.answering import KASPARRO, serving
from benchmarks.contenders import WHOLE
from benchmarks.ground import Ground
from benchmarks.ingest import measure
from benchmarks.load import Client, open_client
from benchmarks.report import Section, say
from benchmarks.ticks import Workload, publish
from services.query.handlers.assets import Sort

ASSETS_A_PAGE = 50
RAW_ROWS_A_PAGE = 500
CHUNK_RECORDS = 5_000
PARTS = 10
COLD, RAW = "rank, nothing rendered before", "raw rows, newest first"
FORGET_SOME_VALUES = """
    UPDATE assets SET market_cap_rank = NULL, market_cap_usd = NULL, price_usd = NULL, volume_24h_usd = NULL
    WHERE hashtext(asset_uid) % 5 = 0"""
"""Rows without a value come last, from a range of their own: each walk is to pass from one to the other."""
HEAD = """\
| walked | pages | first tenth, p50 ms | p99 | middle tenth, p50 | p99 | last tenth, p50 | p99 | last : first |
|---|---|---|---|---|---|---|---|---|"""
TEXT = """\
{assets:,} assets, a fifth of which have no rank and no amounts, and {raw:,} raw rows, all written by the normalizer just
before. One client asks for one page after another, with the cursor of the page before, {asset_page} assets or {raw_page} raw
rows a page, from the first to the last, {rounds} times; every walk met every row exactly once. The query service as it is
deployed, started anew each time: the first walk finds nothing rendered, the others the assets that it holds. *last : first*
compares the medians of the last tenth and of the first tenth of a walk.

{table}
"""


class Walk(NamedTuple):
    """Where a list begins, and what tells its rows apart."""

    name: str
    path: str
    key: str


RAW_WALK = Walk(RAW, f"/data/raw/coingecko?limit={RAW_ROWS_A_PAGE}", "record_id")


def walks() -> Sequence[Walk]:
    """Return the walks of a round; the first finds an API that has rendered nothing."""
    orders = [Walk(sort, f"/data?limit={ASSETS_A_PAGE}&sort={sort}", "asset_uid") for sort in get_args(Sort)]
    return [orders[0]._replace(name=COLD), *orders, RAW_WALK]


class Tenth(NamedTuple):
    """Milliseconds a page."""

    p50_ms: float
    p99_ms: float


async def walked(client: Client, walk: Walk, rows: int) -> list[float]:
    """Return the milliseconds of each page of a walk, which must meet so many rows, each of them once."""
    took: list[float] = []
    met: list[object] = []
    path: str | None = walk.path
    while path is not None:
        milliseconds, page = await client.page(path)
        took.append(milliseconds)
        met += [row[walk.key] for row in page["data"]]
        path = f"{walk.path}&cursor={page['next_cursor']}" if page["next_cursor"] else None
    if (len(met), len(set(met))) != (rows, rows):
        raise SystemExit(f"error: a walk by {walk.name} met {len(met)} rows, {len(set(met))} of them different, of {rows}")
    return took


async def compare(ground: Ground, assets: int, ticks: int, rounds: int) -> Section:
    """Fill the tables by the normalizer, and walk through every list once a round."""
    work = Workload(ticks, -(-assets * 10 // 9))  # of ten listings two have one symbol
    await measure(ground, WHOLE, work, await publish(ground.connection, work), chunk_records=CHUNK_RECORDS)
    await ground.pool.execute(FORGET_SOME_VALUES)
    there = int(await ground.pool.fetchval("SELECT count(*) FROM assets"))
    say(f"{there:,} assets and {ticks:,} raw rows are there")
    taken: dict[str, list[list[float]]] = {walk.name: [] for walk in walks()}
    for round_ in range(1, rounds + 1):
        async with serving(ground, KASPARRO) as port, open_client(port) as client:
            for walk in walks():
                taken[walk.name].append(await walked(client, walk, ticks if walk is RAW_WALK else there))
                say(f"{round_}/{rounds}  {_line(walk.name, taken[walk.name][-1:])}")
    table = "\n".join([HEAD, *(_line(name, held) for name, held in taken.items())])
    text = TEXT.format(assets=there, raw=ticks, asset_page=ASSETS_A_PAGE, raw_page=RAW_ROWS_A_PAGE, rounds=rounds, table=table)
    bars = [(name, _growth(held)) for name, held in taken.items()]
    return Section("Paging", text, "a page of the last tenth of a walk as a multiple of one of the first", bars, [])


def _line(name: str, held: Sequence[Sequence[float]]) -> str:
    tenths = [_tenth(held, number) for number in (0, PARTS // 2, PARTS - 1)]
    figures = " | ".join(f"{tenth.p50_ms:.2f} | {tenth.p99_ms:.2f}" for tenth in tenths)
    return f"| {name} | {len(held[0])} | {figures} | {_growth(held):.2f} |"


def _growth(held: Sequence[Sequence[float]]) -> float:
    """Return the median, over the rounds, of the last tenth's median as a multiple of the first's in the same walk."""
    return median(_tenth([took], PARTS - 1).p50_ms / _tenth([took], 0).p50_ms for took in held)


def _tenth(held: Sequence[Sequence[float]], number: int) -> Tenth:
    """Take the pages of one tenth of each walk together; of a walk of few pages, at least one."""
    pages: list[float] = []
    for took in held:
        first = len(took) * number // PARTS
        pages += took[first : max(first + 1, len(took) * (number + 1) // PARTS)]
    pages.sort()
    return Tenth(median(pages), pages[len(pages) * 99 // 100])
