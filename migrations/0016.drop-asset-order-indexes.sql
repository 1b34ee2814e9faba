-- Sorted pages of assets come from the query service's memory. Each of these was written for every asset of every tick, two
-- thirds of what the asset cost, and forbade updates that stay in their page (HOT).
-- depends: 0015.create-history

SET LOCAL lock_timeout = '5s';

DROP INDEX assets_rank, assets_market_cap, assets_price, assets_volume, assets_updated_at, assets_source;
