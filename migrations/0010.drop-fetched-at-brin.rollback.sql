CREATE INDEX raw_coingecko_fetched_at ON raw_coingecko USING brin (fetched_at);
CREATE INDEX raw_coinpaprika_fetched_at ON raw_coinpaprika USING brin (fetched_at);
CREATE INDEX raw_csv_fetched_at ON raw_csv USING brin (fetched_at);
