"""Emptying what ticks make, so that a replay makes it again. The assets of what other sources hold stay right all along."""

from collections.abc import AsyncIterable, AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Final
from uuid import UUID

from libs.domain.assets import asset_of
from libs.domain.quotes import Quote
from libs.postgres.pool import Connection, Pool
from libs.postgres.writing import assets, quotes
from libs.postgres.writing.candles import close_sources
from libs.postgres.writing.incoming import copy_rows
from libs.sources.catalogue import SOURCES

LOCK_SECONDS: Final = 10
"""How long to wait for whoever writes at this moment: nobody should, the group is empty."""

SET_LOCK_TIMEOUT: Final = f"SET LOCAL lock_timeout = '{LOCK_SECONDS}s'"
# Table names are the sources' own, from libs.sources.catalogue. In the order in which a chunk's writer takes its locks.
LOCK_RAW: Final = "LOCK TABLE {table} IN EXCLUSIVE MODE"
LOCK_QUOTES: Final = "LOCK TABLE quotes IN EXCLUSIVE MODE"
LOCK_HISTORY: Final = "LOCK TABLE quote_history, late_ticks, candles_1h IN EXCLUSIVE MODE"
LOCK_REST: Final = "LOCK TABLE assets, assets_gone IN EXCLUSIVE MODE"
EMPTY_RAW: Final = "TRUNCATE TABLE {table}"
"""Its ids go on growing, so a cursor that somebody holds never comes upon another row under a known id."""

DELETE_QUOTES: Final = "DELETE FROM quotes WHERE source = ANY($1::text[]) RETURNING asset_uid"
EMPTY_HISTORY: Final = "TRUNCATE TABLE quote_history, late_ticks, candles_1h"
DELETE_HISTORY: Final = tuple(
    f"DELETE FROM {table} WHERE source = ANY($1::text[])"  # noqa: S608 - our own names
    for table in ("quote_history", "late_ticks", "candles_1h")
)
DELETE_ASSETS: Final = "DELETE FROM assets WHERE asset_uid = ANY($1::text[])"

CREATE_KEPT: Final = "CREATE TEMPORARY TABLE kept_ticks (tick_id uuid NOT NULL) ON COMMIT DROP"
ANALYZE_KEPT: Final = "ANALYZE kept_ticks"
COUNT_RAW: Final = """
    SELECT count(*) AS held, count(*) FILTER (WHERE kept.tick_id IS NULL) AS beyond
    FROM {table} AS held LEFT JOIN (SELECT DISTINCT tick_id FROM kept_ticks) AS kept USING (tick_id)"""
COUNT_QUOTES: Final = """
    SELECT count(*) AS held, count(*) FILTER (WHERE kept.tick_id IS NULL) AS beyond
    FROM quotes AS held LEFT JOIN (SELECT DISTINCT tick_id FROM kept_ticks) AS kept USING (tick_id)
    WHERE held.source = $1"""

COUNT_TICKS: Final = """
    SELECT count(*) AS held, count(*) FILTER (WHERE kept.tick_id IS NULL) AS beyond
    FROM quote_history AS held LEFT JOIN (SELECT DISTINCT tick_id FROM kept_ticks) AS kept USING (tick_id)
    WHERE held.source = $1"""

# A candle outlives its ticks: without the ones that open and close it, it comes back another one, or not at all.
COUNT_CANDLES: Final = """
    WITH kept AS (SELECT DISTINCT tick_id FROM kept_ticks)
    SELECT count(*) AS held, count(*) FILTER (WHERE opening.tick_id IS NULL OR closing.tick_id IS NULL) AS beyond
    FROM candles_1h_all AS held
        LEFT JOIN kept AS opening ON opening.tick_id = open_tick_id LEFT JOIN kept AS closing ON closing.tick_id = close_tick_id
    WHERE held.source = $1"""

LOAD_VERSIONS: Final = "SELECT asset_uid, version FROM assets"


@dataclass(frozen=True, slots=True)
class Held:
    """What the tables hold of a source, and how much of it no kept record of its topic would bring back.

    The history's ticks and candles only where it is emptied too.
    """

    source: str
    raw_rows: int
    raw_rows_beyond_reach: int
    quotes: int
    quotes_beyond_reach: int
    ticks: int = 0
    ticks_beyond_reach: int = 0
    candles: int = 0
    candles_beyond_reach: int = 0


@dataclass(frozen=True, slots=True)
class Emptied:
    """What was emptied: quotes deleted, assets that went with them, and assets that other sources hold in another form."""

    quotes: int
    assets_gone: int
    assets_changed: int


async def count_held(
    pool: Pool, source: str, raw_table: str, kept: AsyncIterable[Sequence[UUID]], *, history: bool = False
) -> Held:
    """Compare the tables with the contents that the source's topic still has (`kept`, tick_ids in any order, repeats too)."""
    async with pool.acquire() as connection, connection.transaction():
        await connection.execute(CREATE_KEPT)
        async for tick_ids in kept:
            await copy_rows(connection, "kept_ticks", ["tick_id"], [(tick_id,) for tick_id in tick_ids])
        await connection.execute(ANALYZE_KEPT)
        raw = await connection.fetchrow(COUNT_RAW.format(table=raw_table))
        newest = await connection.fetchrow(COUNT_QUOTES, source)
        counts = (COUNT_TICKS, COUNT_CANDLES) if history else ()
        told = [number for count in counts for number in await connection.fetchrow(count, source) or ()]
    if raw is None or newest is None:
        raise RuntimeError("a count gave no row")
    return Held(source, raw["held"], raw["beyond"], newest["held"], newest["beyond"], *told)


@asynccontextmanager
async def emptied(
    pool: Pool, raw_tables: Mapping[str, str], priorities: Mapping[str, int], *, history: bool = False
) -> AsyncIterator[Emptied]:
    """Empty what the ticks of the sources (name -> raw table) made, for good when the block ends and not if it raises.

    Until then nobody else sees it, and who would write waits. Raw rows and quotes go; an asset that other sources hold
    becomes what their quotes add up to; one that nobody else holds is deleted. With `history` their ticks and candles go too:
    most of them are older than what topics keep, and a replay over them changes nothing. Without, what was an open hour becomes a
    row: without a quote it would be none.
    """
    async with pool.acquire() as connection, connection.transaction():
        await connection.execute(SET_LOCK_TIMEOUT)
        for table in sorted(raw_tables.values()):
            await connection.execute(LOCK_RAW.format(table=table))
        await connection.execute(LOCK_QUOTES)
        if history:
            await connection.execute(LOCK_HISTORY)
        await connection.execute(LOCK_REST)
        if not history:
            await close_sources(connection, raw_tables)
        deleted = await connection.fetch(DELETE_QUOTES, list(raw_tables))
        gone, changed = await _recompute(connection, sorted({row["asset_uid"] for row in deleted}), priorities)
        if history:
            await _empty_history(connection, list(raw_tables))
        for table in sorted(raw_tables.values()):  # last: from here on nobody can read them
            await connection.execute(EMPTY_RAW.format(table=table))
        yield Emptied(len(deleted), gone, changed)


async def _empty_history(connection: Connection, sources: Sequence[str]) -> None:
    if SOURCES.keys() <= set(sources):
        await connection.execute(EMPTY_HISTORY)
        return
    for statement in DELETE_HISTORY:
        await connection.execute(statement, sources)


async def load_versions(pool: Pool) -> dict[str, int]:
    """Return asset_uid -> version of every asset."""
    return {row["asset_uid"]: row["version"] for row in await pool.fetch(LOAD_VERSIONS)}


async def _recompute(connection: Connection, asset_uids: Sequence[str], priorities: Mapping[str, int]) -> tuple[int, int]:
    held: dict[str, list[Quote]] = {asset_uid: [] for asset_uid in asset_uids}
    for quote in await quotes.load_others(connection, asset_uids, []):
        held[quote.asset_uid].append(quote)
    computed = [asset for uid in asset_uids if (asset := asset_of(held[uid], priorities)) is not None]
    changed = await assets.upsert_changed(connection, computed, {asset.asset_uid: asset.tick_id for asset in computed})
    gone = [uid for uid in asset_uids if not held[uid]]
    await connection.execute(DELETE_ASSETS, gone)
    return len(gone), len(changed)
