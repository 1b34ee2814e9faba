-- Every candle of an hour: rows of hours that are over, and the open hour of each listing, folded from its ticks. For whoever looks
-- with psql, and for going back to a version that wants a row of every hour (docs/operations.md).
-- depends: 0017.make-room-for-hot-updates

SET LOCAL lock_timeout = '5s';

CREATE VIEW candles_1h_all AS
SELECT source, source_id, started_at, open, high, low, close, ticks,
    open_at, open_fetched_at, open_tick_id, close_at, close_fetched_at, close_tick_id
FROM candles_1h
UNION ALL
SELECT source, source_id, started_at, trim_scale((opened).price), trim_scale(high), trim_scale(low), trim_scale((closed).price), ticks,
    (opened).event_time, (opened).fetched_at, (opened).tick_id, (closed).event_time, (closed).fetched_at, (closed).tick_id
FROM (
    SELECT source COLLATE "C" AS source, source_id COLLATE "C" AS source_id,
        date_bin('1 hour', source_updated_at, '1970-01-01 00:00Z') AS started_at
    FROM quotes
) AS hour CROSS JOIN LATERAL (
    SELECT (min(ARRAY[ROW(event_time, first_fetched_at, tick_id, price_usd)::candle_end]))[1] AS opened,
        (max(ARRAY[ROW(event_time, fetched_at, tick_id, price_usd)::candle_end]))[1] AS closed,
        max(price_usd) AS high, min(price_usd) AS low, count(*)::integer AS ticks
    FROM quote_history AS tick
    WHERE tick.source = hour.source AND tick.source_id = hour.source_id
        AND event_time >= hour.started_at AND event_time < hour.started_at + interval '1 hour' AND price_usd IS NOT NULL
    HAVING count(*) > 0
) AS folded
WHERE NOT EXISTS (
    SELECT FROM candles_1h AS held
    WHERE held.source = hour.source AND held.source_id = hour.source_id AND held.started_at = hour.started_at
);
