DROP INDEX etl_run_shards_failed_at;
DROP TABLE gaps;
