"""The newest quote of each listing. Event time decides what is newest, never the order of arrival."""

from collections.abc import Collection, Mapping, Sequence
from datetime import datetime
from typing import NamedTuple
from uuid import UUID

from libs.domain.numbers import Number
from libs.domain.quotes import Quote
from libs.postgres.hours import hour_of
from libs.postgres.pool import Connection

# Repeated listings collapse here: Postgres refuses to touch a row twice in one statement. In key order: two writers then never
# wait for each other in a ring. The order within a listing is that of libs.domain.quotes.freshness.
UPSERT_NEWEST = """
    INSERT INTO quotes AS held (
        source, source_id, asset_uid, symbol, name, price_usd, market_cap_usd, volume_24h_usd, percent_change_1h,
        percent_change_24h, percent_change_7d, circulating_supply, total_supply, max_supply, market_cap_rank,
        source_updated_at, fetched_at, tick_id, run_id)
    SELECT DISTINCT ON (source, source_id)
        source, source_id, asset_uid, symbol, name, price_usd::numeric, market_cap_usd::numeric, volume_24h_usd::numeric,
        percent_change_1h::numeric, percent_change_24h::numeric, percent_change_7d::numeric, circulating_supply::numeric,
        total_supply::numeric, max_supply::numeric, market_cap_rank, source_updated_at, fetched_at, tick_id, run_id
    FROM incoming_ticks
    ORDER BY source, source_id, source_updated_at DESC, fetched_at DESC, tick_id DESC
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
        < (excluded.source_updated_at, excluded.fetched_at, excluded.tick_id)"""

# Told of those that moved. The key of candles_1h tells whether they have a candle of the hour ($1), the index quotes_asset_uid
# whether another listing had their uid before; one that comes to it in this very statement is told as one that moved.
UPSERT_NEWEST_AND_TELL = f"""{UPSERT_NEWEST}
    RETURNING new.tick_id, CASE WHEN old.asset_uid <> new.asset_uid THEN old.asset_uid END AS left_uid, old.price_usd::text,
        CASE WHEN {hour_of("old.source_updated_at")} < {hour_of("new.source_updated_at")}
            THEN {hour_of("old.source_updated_at")} END AS left_hour,
        EXISTS (
            SELECT FROM candles_1h AS there
            WHERE there.source = new.source AND there.source_id = new.source_id AND there.started_at = $1
            OFFSET 0) AS has_candle,
        EXISTS (
            SELECT FROM quotes AS beside
            WHERE beside.asset_uid = new.asset_uid AND (beside.source, beside.source_id) <> (new.source, new.source_id)
            OFFSET 0) AS is_shared"""  # noqa: S608 - our own parts

# Each uid by the index quotes_asset_uid: the planner, who has no statistics of a table that has just been filled, would go
# through all of it, which takes 8 ms for 15,000 listings, for a single page's tick too. NOT IN is hashed; a comparison with an
# array would go through it for every row.
LOAD_OTHERS = """
    SELECT source, source_id, asset_uid, symbol, name, price_usd::text, market_cap_usd::text, volume_24h_usd::text,
        percent_change_1h::text, percent_change_24h::text, percent_change_7d::text, circulating_supply::text,
        total_supply::text, max_supply::text, market_cap_rank, source_updated_at, fetched_at, tick_id, run_id
    FROM unnest($1::text[]) AS touched (uid) CROSS JOIN LATERAL (
        SELECT * FROM quotes WHERE asset_uid = touched.uid AND tick_id NOT IN (SELECT unnest($2::uuid[])) OFFSET 0) AS held"""


class Moved(NamedTuple):
    """The rows that moved, by the tick_id that moved them: the price that was there; and what they left: a uid, an hour.

    `have_candle`: the hour asked about has a candle of one of them. `shared`: those whose uid had another listing before.
    """

    prices: Mapping[UUID, Number | None]
    left: Mapping[UUID, str]
    hours: Mapping[UUID, datetime]
    have_candle: bool
    shared: Collection[UUID]


async def upsert_newest(connection: Connection, hour: datetime | None = None) -> Moved:
    """Keep what is newer than what is held, of each incoming listing; return what moved, and whether it has candles of `hour`."""
    rows = await connection.fetch(UPSERT_NEWEST_AND_TELL, hour)
    return Moved(
        {row[0]: row[2] for row in rows},
        {row[0]: row[1] for row in rows if row[1] is not None},
        {row[0]: row[3] for row in rows if row[3] is not None},
        any(row[4] for row in rows),
        {row[0] for row in rows if row[5]},
    )


async def load_others(connection: Connection, asset_uids: Sequence[str], known: Sequence[UUID]) -> list[Quote]:
    """Return the quotes of these uids, without those of these tick_ids: they are known already."""
    return [Quote(*row) for row in await connection.fetch(LOAD_OTHERS, asset_uids, known)]
