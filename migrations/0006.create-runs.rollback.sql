DROP TABLE etl_run_progress;
DROP TABLE etl_run_shards;
DROP TABLE etl_runs;
