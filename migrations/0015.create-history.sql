-- What each listing said, by the time it was true, and its candles of an hour. The partitions are made by who writes.
-- depends: 0014.create-raw-binance

SET LOCAL lock_timeout = '5s';

-- Partitions of a day, UTC: quote_history_20261129. Sorted by bytes: an order that is the same in every database, and cheap.
CREATE TABLE quote_history (
    source           text COLLATE "C" NOT NULL,
    source_id        text COLLATE "C" NOT NULL,
    event_time       timestamptz      NOT NULL,
    tick_id          uuid             NOT NULL,
    first_fetched_at timestamptz      NOT NULL, -- a content that is told again has other times of fetching
    fetched_at       timestamptz      NOT NULL,
    price_usd        numeric,
    market_cap_usd   numeric,
    volume_24h_usd   numeric,
    PRIMARY KEY (source, source_id, event_time, tick_id)
) PARTITION BY RANGE (event_time);

-- Ticks that came when their day was past keeping, and those of days that went which may come again: they are in their candle,
-- and this is how nobody counts them twice.
CREATE TABLE late_ticks (
    source     text COLLATE "C" NOT NULL,
    source_id  text COLLATE "C" NOT NULL,
    event_time timestamptz      NOT NULL,
    tick_id    uuid             NOT NULL,
    seen_at    timestamptz      NOT NULL DEFAULT clock_timestamp(),
    PRIMARY KEY (source, source_id, event_time, tick_id)
);

-- Partitions of a month, UTC: candles_1h_202611. A candle opens with the least and closes with the greatest
-- (event time, time of fetching, tick_id), the order of libs.domain.quotes.freshness.
CREATE TABLE candles_1h (
    source           text COLLATE "C" NOT NULL,
    source_id        text COLLATE "C" NOT NULL,
    started_at       timestamptz      NOT NULL,
    open             numeric          NOT NULL,
    high             numeric          NOT NULL,
    low              numeric          NOT NULL,
    close            numeric          NOT NULL,
    ticks            integer          NOT NULL,
    open_at          timestamptz      NOT NULL,
    open_fetched_at  timestamptz      NOT NULL,
    open_tick_id     uuid             NOT NULL,
    close_at         timestamptz      NOT NULL,
    close_fetched_at timestamptz      NOT NULL,
    close_tick_id    uuid             NOT NULL,
    PRIMARY KEY (source, source_id, started_at)
) PARTITION BY RANGE (started_at);

-- One end of a candle, which min and max compare from left to right.
CREATE TYPE candle_end AS (event_time timestamptz, fetched_at timestamptz, tick_id uuid, price numeric);
