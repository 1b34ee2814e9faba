-- What has drifted in the rows of each source: a projection of the events shard_published of etl.runs.
-- depends: 0010.drop-fetched-at-brin

SET LOCAL lock_timeout = '5s';

CREATE TABLE schema_drift (
    run_id   uuid        NOT NULL,
    shard    text        NOT NULL,
    field    text        NOT NULL,
    kind     text        NOT NULL, -- new, missing, retyped; a later release may tell of others
    source   text        NOT NULL,
    was      text[]      NOT NULL, -- types that it was known with
    has_now  text[]      NOT NULL, -- types that it has now
    found_at timestamptz NOT NULL,
    PRIMARY KEY (run_id, shard, field, kind)
);

-- The newest of a source are shown, and all of one are counted; what is old is found by time alone.
CREATE INDEX schema_drift_newest ON schema_drift (source, found_at DESC);
CREATE INDEX schema_drift_found_at ON schema_drift (found_at);
