ALTER TABLE etl_runs DROP COLUMN anomalies;
ALTER TABLE etl_runs DROP COLUMN price_moves;
ALTER TABLE etl_run_progress DROP COLUMN moves;
