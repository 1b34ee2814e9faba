DROP TABLE raw_coingecko;
