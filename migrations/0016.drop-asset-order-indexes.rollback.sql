SET LOCAL lock_timeout = '5s';

CREATE INDEX assets_rank ON assets (market_cap_rank, asset_uid);
CREATE INDEX assets_market_cap ON assets (market_cap_usd, asset_uid);
CREATE INDEX assets_price ON assets (price_usd, asset_uid);
CREATE INDEX assets_volume ON assets (volume_24h_usd, asset_uid);
CREATE INDEX assets_updated_at ON assets (updated_at, asset_uid);
CREATE INDEX assets_source ON assets (source);
