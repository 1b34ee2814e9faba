DROP TABLE schema_drift;
