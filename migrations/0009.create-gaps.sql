-- What is known to be missing: a projection of etl.gaps. Failed shards are read from etl_run_shards.
-- depends: 0008.create-dead-letters

SET LOCAL lock_timeout = '5s';

CREATE TABLE gaps (
    gap_id           uuid        PRIMARY KEY,
    kind             text        NOT NULL CHECK (kind IN ('runs_missed', 'offsets_lost')),
    source           text        NOT NULL, -- empty for a topic that is no source's
    found_at         timestamptz NOT NULL,
    first_due        timestamptz,          -- runs_missed, as the next three
    last_due         timestamptz,
    runs             bigint,
    interval_seconds double precision,
    consumer_group   text,                 -- offsets_lost, as the next four
    topic            text,
    partition        integer,
    from_offset      bigint,
    to_offset        bigint
);

-- Both halves of GET /stats/gaps are walked newest first; equal times are put in order afterwards.
CREATE INDEX gaps_found_at ON gaps (found_at);
CREATE INDEX etl_run_shards_failed_at ON etl_run_shards (reported_at) WHERE error IS NOT NULL;
