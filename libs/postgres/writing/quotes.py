"""The newest quote of each listing. Event time decides what is newest, never the order of arrival."""

from collections.abc import Iterable, Sequence
from decimal import Decimal
from typing import NamedTuple

import asyncpg

from libs.domain.quotes import Quote
from libs.postgres.pool import Connection

NUMERIC = slice(5, 14)
"""Where Quote's numbers are. They cross the wire as text: Postgres reads it faster than asyncpg makes its binary form."""

FIND_STRAYS = """
    SELECT incoming.source_id, held.asset_uid
    FROM unnest($2::text[], $3::text[]) AS incoming (source_id, asset_uid)
    LEFT JOIN quotes AS held ON held.source = $1 AND held.source_id = incoming.source_id
    WHERE held.asset_uid IS DISTINCT FROM incoming.asset_uid"""

UPSERT_NEWEST = """
    INSERT INTO quotes AS held (
        source, source_id, asset_uid, symbol, name, price_usd, market_cap_usd, volume_24h_usd, percent_change_1h,
        percent_change_24h, percent_change_7d, circulating_supply, total_supply, max_supply, market_cap_rank,
        source_updated_at, fetched_at, tick_id, run_id)
    SELECT source, source_id, asset_uid, symbol, name, price_usd::numeric, market_cap_usd::numeric, volume_24h_usd::numeric,
        percent_change_1h::numeric, percent_change_24h::numeric, percent_change_7d::numeric, circulating_supply::numeric,
        total_supply::numeric, max_supply::numeric, market_cap_rank, source_updated_at, fetched_at, tick_id, run_id
    FROM unnest(
        $1::text[], $2::text[], $3::text[], $4::text[], $5::text[], $6::text[], $7::text[], $8::text[], $9::text[], $10::text[],
        $11::text[], $12::text[], $13::text[], $14::text[], $15::integer[], $16::timestamptz[], $17::timestamptz[], $18::uuid[],
        $19::uuid[]
    ) AS incoming (
        source, source_id, asset_uid, symbol, name, price_usd, market_cap_usd, volume_24h_usd, percent_change_1h,
        percent_change_24h, percent_change_7d, circulating_supply, total_supply, max_supply, market_cap_rank,
        source_updated_at, fetched_at, tick_id, run_id)
    ON CONFLICT (source, source_id) DO UPDATE SET (
        asset_uid, symbol, name, price_usd, market_cap_usd, volume_24h_usd, percent_change_1h, percent_change_24h,
        percent_change_7d, circulating_supply, total_supply, max_supply, market_cap_rank, source_updated_at, fetched_at,
        tick_id, run_id
    ) = (
        excluded.asset_uid, excluded.symbol, excluded.name, excluded.price_usd, excluded.market_cap_usd,
        excluded.volume_24h_usd, excluded.percent_change_1h, excluded.percent_change_24h, excluded.percent_change_7d,
        excluded.circulating_supply, excluded.total_supply, excluded.max_supply, excluded.market_cap_rank,
        excluded.source_updated_at, excluded.fetched_at, excluded.tick_id, excluded.run_id)
    WHERE (held.source_updated_at, held.fetched_at, held.tick_id)
        < (excluded.source_updated_at, excluded.fetched_at, excluded.tick_id)
    RETURNING source_id"""

LOAD_OTHERS = """
    SELECT source, source_id, asset_uid, symbol, name, price_usd::text, market_cap_usd::text, volume_24h_usd::text,
        percent_change_1h::text, percent_change_24h::text, percent_change_7d::text, circulating_supply::text,
        total_supply::text, max_supply::text, market_cap_rank, source_updated_at, fetched_at, tick_id, run_id
    FROM quotes
    WHERE asset_uid = ANY($1::text[]) AND NOT (source = $2 AND source_id = ANY($3::text[]))"""


class Stray(NamedTuple):
    """A listing whose held quote, if any, belongs to another asset_uid than the one that came."""

    source_id: str
    held_under: str | None


async def find_strays(connection: Connection, source: str, quotes: Sequence[Quote]) -> list[Stray]:
    """Return the listings that are new (held under None) or changed their symbol; in quiet times there are none."""
    rows = await connection.fetch(
        FIND_STRAYS, source, [quote.source_id for quote in quotes], [quote.asset_uid for quote in quotes]
    )
    return [Stray(*row) for row in rows]


async def upsert_newest(connection: Connection, quotes: Sequence[Quote]) -> set[str]:
    """Keep what is newer than what is held; return the source_ids of the rows that moved.

    The quotes are of one source, at most one a listing, in key order: two writers then never wait for each other in a ring.
    """
    columns = list(zip(*quotes, strict=True))
    columns[NUMERIC] = [_as_text(column) for column in columns[NUMERIC]]
    rows = await connection.fetch(UPSERT_NEWEST, *columns)
    return {row[0] for row in rows}


async def load_others(connection: Connection, asset_uids: Sequence[str], source: str, known: Sequence[str]) -> list[Quote]:
    """Return the quotes of these uids, without those of `source` whose source_ids are known already."""
    return [_quote_of(row) for row in await connection.fetch(LOAD_OTHERS, asset_uids, source, known)]


def _as_text(column: Iterable[Decimal | None]) -> tuple[str | None, ...]:
    return tuple([None if number is None else str(number) for number in column])


def _quote_of(row: asyncpg.Record) -> Quote:
    values = list(row.values())
    values[NUMERIC] = [None if text is None else Decimal(text) for text in values[NUMERIC]]
    return Quote(*values)
