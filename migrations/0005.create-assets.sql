-- The canonical row of each asset_uid.
-- depends: 0004.create-quotes

SET LOCAL lock_timeout = '5s';

-- Versions come from a sequence and not from a count in the row, so that they go on growing over an emptied table
-- and a subscriber that keeps the highest version is right after a rebuild too.
CREATE SEQUENCE asset_versions;

CREATE TABLE assets (
    asset_uid            text        PRIMARY KEY,
    version              bigint      NOT NULL,
    symbol               text        NOT NULL,
    name                 text        NOT NULL,
    market_cap_rank      integer,
    anchor_source        text        NOT NULL,
    anchor_source_id     text        NOT NULL,
    source               text        NOT NULL, -- of the listing taken
    source_id            text        NOT NULL,
    agreeing             jsonb       NOT NULL, -- [{"source": ..., "source_id": ...}], the anchor among them
    listings_total       integer     NOT NULL,
    price_usd            numeric,
    market_cap_usd       numeric,
    volume_24h_usd       numeric,
    percent_change_1h    numeric,
    percent_change_24h   numeric,
    percent_change_7d    numeric,
    circulating_supply   numeric,
    total_supply         numeric,
    max_supply           numeric,
    price_spread_percent numeric,
    source_updated_at    timestamptz NOT NULL,
    fetched_at           timestamptz NOT NULL,
    tick_id              uuid        NOT NULL, -- that the values came from
    changed_by           uuid        NOT NULL, -- the tick whose arrival made this version: says what to publish again after a crash
    updated_at           timestamptz NOT NULL DEFAULT clock_timestamp() -- when this version was written
) WITH (fillfactor = 80);

-- One index an order of GET /data, each ending in the key so that a keyset walk is exact. Read forwards and backwards;
-- rows without a value are a range of their own, so that they come last in both directions (libs/postgres/reading/assets.py).
CREATE INDEX assets_rank ON assets (market_cap_rank, asset_uid);
CREATE INDEX assets_market_cap ON assets (market_cap_usd, asset_uid);
CREATE INDEX assets_price ON assets (price_usd, asset_uid);
CREATE INDEX assets_volume ON assets (volume_24h_usd, asset_uid);
CREATE INDEX assets_updated_at ON assets (updated_at, asset_uid);
-- A source with few assets is sorted from here; a source with many is met soon enough in any of the orders.
CREATE INDEX assets_source ON assets (source);
