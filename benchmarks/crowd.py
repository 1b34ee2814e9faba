"""Quotes and assets of many listings, a few of which tick: these are spread evenly over the pages of all."""

from benchmarks.ground import Ground
from benchmarks.ticks import Workload

# The workload's own names for those that will tick, so that their quotes are there, older than any of its ticks.
FILL_QUOTES = """
    INSERT INTO quotes (
        source, source_id, asset_uid, symbol, name, price_usd, market_cap_usd, volume_24h_usd, percent_change_24h,
        circulating_supply, total_supply, market_cap_rank, source_updated_at, fetched_at, tick_id, run_id)
    SELECT 'coingecko', CASE WHEN ticks THEN 'coin-number-' || listing ELSE 'held-number-' || number END,
        CASE WHEN ticks THEN 'sym' || listing % $3 ELSE 'held' || number END, 'SYM' || number, 'Coin Number ' || number,
        number / 7.0, number * 1e6 + 1, number * 1e4 + 1, 1.23456, number * 1e3 + 0.1234, 1e9, number + 1,
        now() - interval '2 days', now() - interval '2 days', gen_random_uuid(), gen_random_uuid()
    FROM generate_series(0, $1::integer - 1) AS number,
        LATERAL (SELECT number / $2::integer AS listing, number % $2::integer = 0 AS ticks) AS place"""
FILL_ASSETS = """
    INSERT INTO assets (
        asset_uid, version, symbol, name, market_cap_rank, anchor_source, anchor_source_id, source, source_id, agreeing,
        listings_total, price_usd, market_cap_usd, volume_24h_usd, percent_change_24h, circulating_supply, total_supply,
        source_updated_at, fetched_at, tick_id, warnings, changed_by)
    SELECT asset_uid, nextval('asset_versions'), symbol, name, market_cap_rank, source, source_id, source, source_id,
        jsonb_build_array(jsonb_build_object('source', source, 'source_id', source_id)), 1, price_usd, market_cap_usd,
        volume_24h_usd, percent_change_24h, circulating_supply, total_supply, source_updated_at, fetched_at, tick_id, '{}',
        tick_id
    FROM quotes ORDER BY market_cap_rank
    ON CONFLICT (asset_uid) DO NOTHING"""
FILL_SECONDS = 600


async def fill(ground: Ground, work: Workload, times: int) -> None:
    """Let the tables, which are empty, hold so many times the workload's listings, with their assets."""
    async with ground.pool.acquire(timeout=FILL_SECONDS) as connection:
        await connection.execute(f"SET statement_timeout = '{FILL_SECONDS}s'", timeout=FILL_SECONDS)
        await connection.execute(FILL_QUOTES, times * work.listings, times, work.symbols, timeout=FILL_SECONDS)
        for statement in (FILL_ASSETS, "VACUUM ANALYZE quotes, assets", "CHECKPOINT", "RESET statement_timeout"):
            await connection.execute(statement, timeout=FILL_SECONDS)
