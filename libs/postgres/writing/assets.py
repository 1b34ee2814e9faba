"""The canonical assets: recomputed from their quotes, written when something changed."""

from collections.abc import Iterable, Mapping, Sequence
from typing import Any, Final, NamedTuple
from uuid import UUID

import asyncpg
import msgspec

from libs.domain.assets import Asset
from libs.domain.identity import Listing
from libs.postgres.pool import Connection, Pool
from libs.postgres.writing.incoming import Incoming

# An asset that comes is not gone any more: the tombstone that was owed is not. Its numbers and times are those of the quote that
# it takes, digit by digit, and so need not cross the wire again; should that not be there, an asset without times is refused.
UPSERT_CHANGED = """
    WITH back AS (DELETE FROM assets_gone USING incoming_assets AS incoming WHERE assets_gone.asset_uid = incoming.asset_uid)
    INSERT INTO assets AS held (
        asset_uid, version, symbol, name, market_cap_rank, anchor_source, anchor_source_id, source, source_id, agreeing,
        listings_total, price_usd, market_cap_usd, volume_24h_usd, percent_change_1h, percent_change_24h, percent_change_7d,
        circulating_supply, total_supply, max_supply, price_spread_percent, source_updated_at, fetched_at, tick_id, warnings,
        changed_by)
    SELECT asset_uid, nextval('asset_versions'), symbol, name, market_cap_rank, anchor_source, anchor_source_id, source,
        source_id, agreeing::jsonb, listings_total, price_usd, market_cap_usd, volume_24h_usd, percent_change_1h,
        percent_change_24h, percent_change_7d, circulating_supply, total_supply, max_supply, price_spread_percent::numeric,
        source_updated_at, fetched_at, tick_id, warnings::text[], changed_by
    FROM incoming_assets AS incoming LEFT JOIN LATERAL (
        SELECT price_usd, market_cap_usd, volume_24h_usd, percent_change_1h, percent_change_24h, percent_change_7d,
            circulating_supply, total_supply, max_supply, source_updated_at, fetched_at, tick_id
        FROM quotes WHERE quotes.source = incoming.source AND quotes.source_id = incoming.source_id OFFSET 0) AS taken ON true
    ON CONFLICT (asset_uid) DO UPDATE SET (
        version, symbol, name, market_cap_rank, anchor_source, anchor_source_id, source, source_id, agreeing, listings_total,
        price_usd, market_cap_usd, volume_24h_usd, percent_change_1h, percent_change_24h, percent_change_7d,
        circulating_supply, total_supply, max_supply, price_spread_percent, source_updated_at, fetched_at, tick_id, warnings,
        changed_by, updated_at
    ) = (
        excluded.version, excluded.symbol, excluded.name, excluded.market_cap_rank, excluded.anchor_source,
        excluded.anchor_source_id, excluded.source, excluded.source_id, excluded.agreeing, excluded.listings_total,
        excluded.price_usd, excluded.market_cap_usd, excluded.volume_24h_usd, excluded.percent_change_1h,
        excluded.percent_change_24h, excluded.percent_change_7d, excluded.circulating_supply, excluded.total_supply,
        excluded.max_supply, excluded.price_spread_percent, excluded.source_updated_at, excluded.fetched_at, excluded.tick_id,
        excluded.warnings, excluded.changed_by, clock_timestamp())
    WHERE (held.tick_id, held.symbol, held.name, held.market_cap_rank, held.anchor_source, held.anchor_source_id,
        held.source, held.source_id, held.agreeing, held.listings_total, held.price_spread_percent, held.fetched_at,
        held.source_updated_at, held.warnings)
        IS DISTINCT FROM (excluded.tick_id, excluded.symbol, excluded.name, excluded.market_cap_rank, excluded.anchor_source,
        excluded.anchor_source_id, excluded.source, excluded.source_id, excluded.agreeing, excluded.listings_total,
        excluded.price_spread_percent, excluded.fetched_at, excluded.source_updated_at, excluded.warnings)
    RETURNING asset_uid, version"""

DELETE_EMPTY = "DELETE FROM assets WHERE asset_uid = ANY($1::text[]) RETURNING asset_uid"

REMEMBER_GONE = """
    INSERT INTO assets_gone (asset_uid, deleted_by) SELECT * FROM unnest($1::text[], $2::uuid[])
    ON CONFLICT (asset_uid) DO UPDATE SET (deleted_by, deleted_at) = (excluded.deleted_by, clock_timestamp())"""

LOAD = """
    SELECT asset_uid, symbol, name, market_cap_rank, anchor_source, anchor_source_id, source, source_id, agreeing,
        listings_total, price_usd::text, market_cap_usd::text, volume_24h_usd::text, percent_change_1h::text,
        percent_change_24h::text, percent_change_7d::text, circulating_supply::text, total_supply::text, max_supply::text,
        price_spread_percent::text, source_updated_at, fetched_at, tick_id, warnings, version
    FROM assets"""

# As in quotes.LOAD_OTHERS, no array is compared with each row: no index helps here, and a replay asks with a whole chunk.
LOAD_CHANGED_BY = LOAD + " WHERE changed_by IN (SELECT unnest($1::uuid[]))"
LOAD_BY_UID = LOAD + " WHERE asset_uid = ANY($1::text[])"

LOAD_GONE_BY = "SELECT asset_uid FROM assets_gone WHERE deleted_by IN (SELECT unnest($1::uuid[]))"


INCOMING: Final = Incoming(
    "incoming_assets",
    [
        *((name, "text") for name in ("asset_uid", "symbol", "name")),
        ("market_cap_rank", "integer"),
        *((name, "text") for name in ("anchor_source", "anchor_source_id", "source", "source_id", "agreeing")),
        ("listings_total", "integer"),
        *((name, "text") for name in ("price_spread_percent", "warnings")),
        ("changed_by", "uuid"),
    ],
)

_encoder = msgspec.json.Encoder()


# Each uid by its key: the planner takes an array for as long as it is, and goes through the whole table for it. As JSON they cost
# our process a tenth (measured, 5,000 of 100,000 assets: 1.5 us each, and 4.2 as arrays).
FIND_OVERTAKEN = """
    SELECT sent.asset_uid, held.version
    FROM json_each_text($1::json) AS sent (asset_uid, version) LEFT JOIN LATERAL (
        SELECT version FROM assets WHERE asset_uid = sent.asset_uid OFFSET 0) AS held ON true
    WHERE held.version IS DISTINCT FROM sent.version::bigint"""


class _Agreeing(msgspec.Struct, frozen=True):
    """A listing, as the column holds it."""

    source: str
    source_id: str


class Changed(NamedTuple):
    """An asset as it stands now, to be published."""

    asset: Asset
    version: int


async def upsert_changed(connection: Connection, assets: Sequence[Asset], changed_by: Mapping[str, UUID]) -> list[Changed]:
    """Write the assets that differ from what is held, in key order; return them with their new versions.

    An asset's numbers are those of its tick, so comparing the tick_id compares them. The quotes that they are of must be there.
    `changed_by` tells a tick whose arrival changed an asset_uid.
    """
    if not assets:
        return []
    ordered = sorted(assets, key=lambda asset: asset.asset_uid)
    await INCOMING.stage(connection, (_row(asset, changed_by[asset.asset_uid]) for asset in ordered))
    rows = await connection.fetch(UPSERT_CHANGED)
    versions: dict[str, int] = dict(map(tuple, rows))
    return [Changed(asset, versions[asset.asset_uid]) for asset in ordered if asset.asset_uid in versions]


async def delete_empty(connection: Connection, asset_uids: Iterable[str], changed_by: Mapping[str, UUID]) -> list[str]:
    """Delete the assets that have no quote left, and remember the tombstones that are owed; return what was there."""
    candidates = sorted(asset_uids)
    if not candidates:
        return []
    gone = [row[0] for row in await connection.fetch(DELETE_EMPTY, candidates)]
    await connection.execute(REMEMBER_GONE, gone, [changed_by[asset_uid] for asset_uid in gone])
    return gone


async def load_changed_by(connection: Connection, tick_ids: Sequence[UUID]) -> tuple[list[Changed], list[str]]:
    """Return the assets whose present version, and the tombstones whose deletion, these ticks caused.

    For ticks that come again: whoever applied them may have died before it published.
    """
    rows = await connection.fetch(LOAD_CHANGED_BY, tick_ids)
    gone = await connection.fetch(LOAD_GONE_BY, tick_ids)
    return [_changed_of(row) for row in rows], [row[0] for row in gone]


async def find_overtaken(pool: Pool, sent: Mapping[str, int | None]) -> dict[str, int | None]:
    """Return the assets whose version is no longer the one that was sent, with the one they have; None is a tombstone."""
    rows = await pool.fetch(FIND_OVERTAKEN, _encoder.encode(sent).decode())
    return {row["asset_uid"]: row["version"] for row in rows}


async def load_current(pool: Pool, asset_uids: Sequence[str]) -> list[Changed]:
    """Return the assets as they stand."""
    return [_changed_of(row) for row in await pool.fetch(LOAD_BY_UID, asset_uids)]


def _row(asset: Asset, changed_by: UUID) -> tuple[Any, ...]:
    agreeing = _encoder.encode([_Agreeing(*one) for one in asset.agreeing]).decode()
    warnings = f"{{{','.join(asset.warnings)}}}"
    listings = (*asset.anchor, *asset.taken, agreeing, asset.listings_total)
    return (*asset[:4], *listings, asset.price_spread_percent, warnings, changed_by)


def _changed_of(row: asyncpg.Record) -> Changed:
    fields = dict(row)
    version = fields.pop("version")
    fields["anchor"] = Listing(fields.pop("anchor_source"), fields.pop("anchor_source_id"))
    fields["taken"] = Listing(fields.pop("source"), fields.pop("source_id"))
    fields["warnings"] = tuple(fields["warnings"])
    fields["agreeing"] = tuple(Listing(**one) for one in msgspec.json.decode(fields["agreeing"]))
    return Changed(Asset(**fields), version)
