-- What looks wrong about an asset. Rows that are there get it when a quote of theirs next moves, or in a rebuild.
-- depends: 0012.add-run-anomalies

SET LOCAL lock_timeout = '5s';

ALTER TABLE assets ADD COLUMN warnings text[] NOT NULL DEFAULT '{}';
