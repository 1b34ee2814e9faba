"""Reading quotes: what every listing of an asset_uid says now."""

from collections.abc import Mapping, Sequence

from libs.postgres.pool import Connection
from libs.postgres.reading.rows import Row

MOST_QUOTES = 1_000
"""Of one asset. A symbol that so many listings share is no asset that somebody looks for."""

# One statement, so that an asset and its quotes are of one snapshot; the asset's columns repeat on the few rows of a uid.
# Amounts as text: an answer needs their digits only. The uids are a SELECT of their own because that hides how many there are
# from the planner: it would otherwise plan each statement anew, which costs more than to run it.
ASSETS_WITH_QUOTES = f"""
    SELECT a.asset_uid, a.version, a.symbol, a.name, a.market_cap_rank, a.anchor_source, a.anchor_source_id, a.source,
           a.source_id, a.agreeing, a.listings_total, a.price_usd::text, a.market_cap_usd::text, a.volume_24h_usd::text,
           a.percent_change_1h::text, a.percent_change_24h::text, a.percent_change_7d::text, a.circulating_supply::text,
           a.total_supply::text, a.max_supply::text, a.price_spread_percent::text,
           a.source_updated_at, a.fetched_at, a.tick_id, a.warnings, a.updated_at,
           q.source AS quote_source, q.source_id AS quote_source_id, q.symbol AS quote_symbol, q.name AS quote_name,
           q.market_cap_rank AS quote_market_cap_rank, q.price_usd::text AS quote_price_usd,
           q.market_cap_usd::text AS quote_market_cap_usd, q.volume_24h_usd::text AS quote_volume_24h_usd,
           q.percent_change_1h::text AS quote_percent_change_1h, q.percent_change_24h::text AS quote_percent_change_24h,
           q.percent_change_7d::text AS quote_percent_change_7d, q.circulating_supply::text AS quote_circulating_supply,
           q.total_supply::text AS quote_total_supply, q.max_supply::text AS quote_max_supply,
           q.source_updated_at AS quote_source_updated_at, q.fetched_at AS quote_fetched_at,
           q.tick_id AS quote_tick_id, q.run_id AS quote_run_id
    FROM assets a LEFT JOIN LATERAL (
        SELECT * FROM quotes WHERE quotes.asset_uid = a.asset_uid
        ORDER BY market_cap_rank NULLS LAST, source, source_id LIMIT {MOST_QUOTES}
    ) q ON true
    WHERE a.asset_uid = ANY((SELECT $1::text[])::text[])
    ORDER BY a.asset_uid, q.market_cap_rank NULLS LAST, q.source, q.source_id"""  # noqa: S608 -- our own number


async def load_assets_with_quotes(connection: Connection, asset_uids: Sequence[str]) -> Mapping[str, Sequence[Row]]:
    """Return for each asset that is there one row a quote, the asset's columns on each."""
    found: dict[str, list[Row]] = {}
    for row in await connection.fetch(ASSETS_WITH_QUOTES, asset_uids):
        found.setdefault(row["asset_uid"], []).append(row)
    return found


QUOTES_BY_SOURCE = """
    SELECT source, count(*) AS quotes, max(source_updated_at) AS newest_event_at, max(fetched_at) AS newest_fetched_at
    FROM quotes GROUP BY source"""


async def summarise_quotes(connection: Connection) -> dict[str, Row]:
    """Return for each source how many listings it has and how new the newest is."""
    return {row["source"]: row for row in await connection.fetch(QUOTES_BY_SOURCE)}
