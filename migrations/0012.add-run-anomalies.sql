-- How far the prices of a run moved, and what was unusual about it.
-- depends: 0011.create-schema-drift

SET LOCAL lock_timeout = '5s';

-- etl_runs first: whoever reads what is published locks it before etl_run_progress, and must not meet us the other way round.
ALTER TABLE etl_runs ADD COLUMN price_moves jsonb;                    -- {"compared": ..., "median_percent": ..., "large_share": ...}
ALTER TABLE etl_runs ADD COLUMN anomalies   jsonb NOT NULL DEFAULT '[]'; -- [{"kind": ..., "value": ..., "expected": ..., "words": ...}]
-- Listings by how far their price moved, counted between libs.domain.anomalies.MOVE_BOUNDS; null when none had two prices.
ALTER TABLE etl_run_progress ADD COLUMN moves bigint[];
