DROP TABLE raw_csv;
