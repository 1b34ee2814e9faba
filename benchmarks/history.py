"""How long an asset's past takes to be read: a page of each width, out of months of history of many listings.

Rows are written by SQL, as the normalizer leaves them: ticks of a listing each five minutes, hour after hour, so that those of
one listing lie far apart. What it costs to write them is in the ticks' part.
"""

from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from statistics import median
from typing import NamedTuple

from benchmarks.answering import KASPARRO, serving
from benchmarks.ground import Ground
from benchmarks.load import open_client
from benchmarks.meters import family_seconds
from benchmarks.report import Section, say
from libs.postgres.pool import Connection
from libs.postgres.writing.partitions import CANDLES, TICKS, Partition, ensure, month_of

TICK_DAYS = 7
POLL = timedelta(minutes=5)
PAGES_A_ROUND = 200
MONTH = "interval=1h: 30 days of two listings"
ASSETS = """
    INSERT INTO assets (asset_uid, version, symbol, name, anchor_source, anchor_source_id, source, source_id, agreeing,
        listings_total, source_updated_at, fetched_at, tick_id, changed_by)
    SELECT 'asset' || n, n, 'A', 'A', 'coingecko', n, 'coingecko', n, jsonb_build_array(
            jsonb_build_object('source', 'coingecko', 'source_id', n::text),
            jsonb_build_object('source', 'coinpaprika', 'source_id', n::text)),
        2, now(), now(), gen_random_uuid(), gen_random_uuid()
    FROM generate_series(1, $1::integer) AS n"""
HOURS = """
    INSERT INTO candles_1h
    SELECT source, n::text, hour, 100 + random(), 102, 99, 100 + random(), 12, hour, hour, gen_random_uuid(), hour, hour,
        gen_random_uuid()
    FROM generate_series($2::timestamptz, $3::timestamptz - interval '1 hour', '1 hour') AS hour,
        generate_series(1, $1::integer) AS n, unnest('{coingecko,coinpaprika}'::text[]) AS source"""
FIVES = """
    INSERT INTO quote_history
    SELECT source, n::text, moment, gen_random_uuid(), moment, moment, 100 + random(), 1000000000, 1000000
    FROM generate_series($2::timestamptz, $3::timestamptz - $4::interval, $4::interval) AS moment,
        generate_series(1, $1::integer) AS n, unnest('{coingecko,coinpaprika}'::text[]) AS source"""
HEAD = "| asked | rows | p50 ms | p99 ms | of Postgres' CPU, ms a page |\n|---|---|---|---|---|"
TEXT = """\
{listings:,} listings, two an asset: {hours:,} candles of an hour in {months} months, {ticks:,} ticks in {days} days. One client
asks for one asset's page after another's, each once, {rounds} times: {disk}. The query service as it is deployed.

{table}
"""


class Asked(NamedTuple):
    """A page, and how many rows it has."""

    name: str
    query: str
    rows: int


class Filled(NamedTuple):
    """What was written, and up to when."""

    assets: int
    hours: int
    ticks: int
    end: datetime


async def compare(ground: Ground, listings: int, months: int, rounds: int) -> Section:
    """Fill the history, and ask for pages of it."""
    filled = await _fill(ground, listings // 2, months)
    say(f"{filled.hours:,} candles and {filled.ticks:,} ticks are there")
    took: dict[Asked, list[float]] = {}
    used_ms: dict[Asked, float] = {}
    async with serving(ground, KASPARRO) as port, open_client(port) as client:
        for asked in _pages(filled.end):
            used = family_seconds(ground.postgres_pid)
            for number in range(rounds * PAGES_A_ROUND):
                milliseconds, page = await client.page(
                    f"/data/asset{1 + number % filled.assets}/history?{asked.query}&limit=5000"
                )
                if len(page["data"]) != asked.rows:
                    raise SystemExit(f"error: {asked.name} has {len(page['data'])} rows, not {asked.rows}")
                took.setdefault(asked, []).append(milliseconds)
            used_ms[asked] = 1_000 * (family_seconds(ground.postgres_pid) - used) / (rounds * PAGES_A_ROUND)
    lines = [_line(asked, sorted(held), used_ms[asked]) for asked, held in took.items()]
    for line in lines:
        say(line)
    text = TEXT.format(
        listings=listings,
        months=months,
        hours=filled.hours,
        ticks=filled.ticks,
        days=TICK_DAYS,
        rounds=rounds,
        disk=await _disk(ground, filled),
        table="\n".join([HEAD, *lines]),
    )
    return Section(
        "History", text, "median milliseconds of a page", [(asked.name, median(held)) for asked, held in took.items()], []
    )


def _pages(end: datetime) -> Sequence[Asked]:
    def since(**ago: int) -> str:
        return f"from={int((end - timedelta(**ago)).timestamp())}&to={int(end.timestamp())}"

    return [
        Asked(MONTH, f"interval=1h&{since(days=30)}", 720),
        Asked("interval=1d: 30 days", f"interval=1d&{since(days=30)}", 30),
        Asked("interval=5m: a day", f"interval=5m&{since(days=1)}", 288),
        Asked("interval=1m: a day", f"interval=1m&{since(days=1)}", 288),
        Asked("interval=raw: a day", f"interval=raw&{since(days=1)}", 576),
    ]


async def _fill(ground: Ground, assets: int, months: int) -> Filled:
    await ground.clear()
    end = datetime.now(UTC).replace(hour=0, minute=0, second=0, microsecond=0)
    start, ticks_from = end - timedelta(days=30 * months), end - timedelta(days=TICK_DAYS)
    async with ground.pool.acquire() as connection:
        await _make_partitions(connection, start, ticks_from, end)
        await connection.execute(ASSETS, assets)
        await connection.execute(FIVES, assets, ticks_from, end, POLL, timeout=600)
        first = start
        while first < end:  # statements have a minute
            following = min(end, first + timedelta(days=30))
            await connection.execute(HOURS, assets, first, following)
            first = following
        await connection.execute("VACUUM ANALYZE quote_history, candles_1h, assets")
        hours = await connection.fetchval("SELECT count(*) FROM candles_1h")
        ticks = await connection.fetchval("SELECT count(*) FROM quote_history")
    return Filled(assets, hours, ticks, end)


async def _make_partitions(connection: Connection, start: datetime, ticks_from: datetime, end: datetime) -> None:
    days = [(start + timedelta(days=day)).date() for day in range((end - start).days)]
    months = {Partition(CANDLES, month_of(day)) for day in days}
    await ensure(connection, months | {Partition(TICKS, day) for day in days if day >= ticks_from.date()})


async def _disk(ground: Ground, filled: Filled) -> str:
    sizes = {
        table: await ground.pool.fetchval(
            "SELECT sum(pg_total_relation_size(inhrelid))::bigint FROM pg_inherits WHERE inhparent = $1::regclass", table
        )
        for table in (CANDLES, TICKS)
    }
    return (
        f"{sizes[CANDLES] / filled.hours:.0f} bytes of disk a candle, {sizes[TICKS] / filled.ticks:.0f} a tick, indexes included"
    )


def _line(asked: Asked, took: Sequence[float], used_ms: float) -> str:
    query, _, what = asked.name.partition(":")
    return f"| `{query}`,{what} | {asked.rows} | {median(took):.1f} | {took[len(took) * 99 // 100]:.1f} | {used_ms:.1f} |"
