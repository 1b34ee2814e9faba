-- Nothing reads by fetched_at since retention walks along the key, and each stored row paid for it.
-- depends: 0009.create-gaps

SET LOCAL lock_timeout = '5s';

DROP INDEX raw_coingecko_fetched_at;
DROP INDEX raw_coinpaprika_fetched_at;
DROP INDEX raw_csv_fetched_at;
