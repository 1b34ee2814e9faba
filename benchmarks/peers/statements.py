"""The SQL of the common work, as a careful engineer would write it; every peer that writes to Postgres by hand gets the same."""

from collections.abc import Sequence
from typing import Any

INSERT_RAW = """
    INSERT INTO raw_coingecko (tick_id, source_id, asset_uid, run_id, fetched_at, source_updated_at, payload)
    SELECT * FROM unnest($1::uuid[], $2::text[], $3::text[], $4::uuid[], $5::timestamptz[], $6::timestamptz[], $7::jsonb[])
    ON CONFLICT (tick_id) DO NOTHING"""

UPSERT_QUOTES = """
    INSERT INTO quotes AS held (
        source, source_id, asset_uid, symbol, name, price_usd, market_cap_usd, volume_24h_usd, percent_change_24h,
        circulating_supply, total_supply, max_supply, market_cap_rank, source_updated_at, fetched_at, tick_id, run_id)
    SELECT 'coingecko', source_id, asset_uid, symbol, name, price_usd::numeric, market_cap_usd::numeric, volume_24h_usd::numeric,
        percent_change_24h::numeric, circulating_supply::numeric, total_supply::numeric, max_supply::numeric, market_cap_rank,
        source_updated_at, fetched_at, tick_id, run_id
    FROM unnest(
        $1::text[], $2::text[], $3::text[], $4::text[], $5::text[], $6::text[], $7::text[], $8::text[], $9::text[], $10::text[],
        $11::text[], $12::integer[], $13::timestamptz[], $14::timestamptz[], $15::uuid[], $16::uuid[]
    ) AS incoming (
        source_id, asset_uid, symbol, name, price_usd, market_cap_usd, volume_24h_usd, percent_change_24h,
        circulating_supply, total_supply, max_supply, market_cap_rank, source_updated_at, fetched_at, tick_id, run_id)
    ON CONFLICT (source, source_id) DO UPDATE SET (
        asset_uid, symbol, name, price_usd, market_cap_usd, volume_24h_usd, percent_change_24h, circulating_supply,
        total_supply, max_supply, market_cap_rank, source_updated_at, fetched_at, tick_id, run_id
    ) = (
        excluded.asset_uid, excluded.symbol, excluded.name, excluded.price_usd, excluded.market_cap_usd,
        excluded.volume_24h_usd, excluded.percent_change_24h, excluded.circulating_supply, excluded.total_supply,
        excluded.max_supply, excluded.market_cap_rank, excluded.source_updated_at, excluded.fetched_at, excluded.tick_id,
        excluded.run_id)
    WHERE (held.source_updated_at, held.fetched_at, held.tick_id)
        < (excluded.source_updated_at, excluded.fetched_at, excluded.tick_id)"""


def raw_columns(ticks: Sequence[Any]) -> list[Sequence[Any]]:
    """Return the parameters of INSERT_RAW."""
    return [
        [tick.tick_id for tick in ticks],
        [tick.source_id for tick in ticks],
        [tick.asset_uid for tick in ticks],
        [tick.run_id for tick in ticks],
        [tick.fetched_at for tick in ticks],
        [tick.source_updated_at for tick in ticks],
        [bytes(tick.payload).decode() for tick in ticks],
    ]


def quote_columns(quotes: Sequence[tuple[Any, Any]]) -> list[Sequence[Any]]:
    """Return the parameters of UPSERT_QUOTES for ticks and their rows, at most one a listing. Numbers go as text."""
    return [
        [tick.source_id for tick, _ in quotes],
        [tick.asset_uid for tick, _ in quotes],
        [row.symbol for _, row in quotes],
        [row.name for _, row in quotes],
        *(
            [None if (number := getattr(row, name)) is None else str(number) for _, row in quotes]
            for name in (
                "current_price",
                "market_cap",
                "total_volume",
                "price_change_percentage_24h",
                "circulating_supply",
                "total_supply",
                "max_supply",
            )
        ),
        [row.market_cap_rank for _, row in quotes],
        [tick.source_updated_at for tick, _ in quotes],
        [tick.fetched_at for tick, _ in quotes],
        [tick.tick_id for tick, _ in quotes],
        [tick.run_id for tick, _ in quotes],
    ]
