-- Raw rows of coingecko: every content of every listing once, as sent.
-- depends:

SET LOCAL lock_timeout = '5s';

CREATE TABLE raw_coingecko (
    record_id         bigint      GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    tick_id           uuid        NOT NULL UNIQUE,
    source_id         text        NOT NULL,
    asset_uid         text        NOT NULL,
    run_id            uuid        NOT NULL,
    fetched_at        timestamptz NOT NULL,
    source_updated_at timestamptz NOT NULL,
    payload           jsonb       NOT NULL
);

-- Retention walks by fetched_at; rows arrive nearly in that order, so a BRIN is enough and costs a write nothing.
CREATE INDEX raw_coingecko_fetched_at ON raw_coingecko USING brin (fetched_at);
