DROP TABLE raw_coinpaprika;
