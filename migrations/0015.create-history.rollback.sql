SET LOCAL lock_timeout = '5s';

DROP TYPE candle_end;
DROP TABLE candles_1h;
DROP TABLE late_ticks;
DROP TABLE quote_history;
