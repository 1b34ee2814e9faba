-- The newest quote of each listing. Columns in the order of libs.domain.quotes.Quote.
-- depends: 0003.create-raw-csv

SET LOCAL lock_timeout = '5s';

CREATE TABLE quotes (
    source             text        NOT NULL,
    source_id          text        NOT NULL,
    asset_uid          text        NOT NULL,
    symbol             text        NOT NULL,
    name               text        NOT NULL,
    price_usd          numeric,
    market_cap_usd     numeric,
    volume_24h_usd     numeric,
    percent_change_1h  numeric,
    percent_change_24h numeric,
    percent_change_7d  numeric,
    circulating_supply numeric,
    total_supply       numeric,
    max_supply         numeric,
    market_cap_rank    integer,
    source_updated_at  timestamptz NOT NULL,
    fetched_at         timestamptz NOT NULL,
    tick_id            uuid        NOT NULL,
    run_id             uuid        NOT NULL,
    PRIMARY KEY (source, source_id)
) WITH (fillfactor = 80);

-- An asset is recomputed from all quotes of its uid.
CREATE INDEX quotes_asset_uid ON quotes (asset_uid);
