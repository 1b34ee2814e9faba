-- Raw rows of binance: every content of every listing once, as sent.
-- depends: 0013.add-asset-warnings

SET LOCAL lock_timeout = '5s';

CREATE TABLE raw_binance (
    record_id         bigint      GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    tick_id           uuid        NOT NULL UNIQUE,
    source_id         text        NOT NULL,
    asset_uid         text        NOT NULL,
    run_id            uuid        NOT NULL,
    fetched_at        timestamptz NOT NULL,
    source_updated_at timestamptz NOT NULL,
    payload           jsonb       NOT NULL
);
