-- What became of each run: a projection of the topic etl.runs (etl_runs, etl_run_shards) and of the chunks applied.
-- depends: 0005.create-assets

SET LOCAL lock_timeout = '5s';

CREATE TABLE etl_runs (
    run_id        uuid        PRIMARY KEY,
    source        text        NOT NULL,
    trigger       text,                   -- null until an event that carries it has been read
    status        text        NOT NULL CHECK (status IN ('requested', 'running', 'published', 'succeeded', 'failed', 'skipped')),
    shards        text[],
    requested_at  timestamptz,
    started_at    timestamptz,
    published_at  timestamptz,
    finished_at   timestamptz,
    fetched       bigint      NOT NULL DEFAULT 0,
    unchanged     bigint      NOT NULL DEFAULT 0,
    published     bigint      NOT NULL DEFAULT 0,
    stored        bigint      NOT NULL DEFAULT 0,
    duplicate     bigint      NOT NULL DEFAULT 0,
    dead_lettered bigint      NOT NULL DEFAULT 0,
    error         text,                   -- why it failed, or why it was skipped
    last_event_at timestamptz NOT NULL
);

CREATE INDEX etl_runs_recent ON etl_runs (source, last_event_at DESC);
CREATE INDEX etl_runs_newest ON etl_runs (last_event_at DESC, run_id);
CREATE INDEX etl_runs_unfinished ON etl_runs (run_id) WHERE status NOT IN ('succeeded', 'failed', 'skipped');

CREATE TABLE etl_run_shards (
    run_id        uuid        NOT NULL,
    shard         text        NOT NULL,
    fetched       bigint      NOT NULL DEFAULT 0,
    unchanged     bigint      NOT NULL DEFAULT 0,
    published     bigint      NOT NULL DEFAULT 0,
    dead_lettered bigint      NOT NULL DEFAULT 0,
    last_offsets  jsonb       NOT NULL DEFAULT '{}', -- {"partition of the raw topic": offset of the run's last tick there}
    error         text,                              -- null when it was published
    reported_at   timestamptz NOT NULL,
    PRIMARY KEY (run_id, shard)
);

-- What the normalizer counted of a run in one partition of a source's topic; only what is in the topic of the run's own
-- source is the run's. through_offset makes the counting repeatable: a record read again, after a crash or in a replay, was
-- counted already.
CREATE TABLE etl_run_progress (
    run_id         uuid    NOT NULL,
    source         text    NOT NULL,
    partition      integer NOT NULL,
    through_offset bigint  NOT NULL,
    stored         bigint  NOT NULL,
    duplicate      bigint  NOT NULL,
    dead_lettered  bigint  NOT NULL,
    PRIMARY KEY (run_id, source, partition)
);
