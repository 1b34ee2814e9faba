-- What can be counted of the dead letters: a projection of ticks.dead-letter, which keeps the records, and of etl.settlements.
-- depends: 0007.create-assets-gone

SET LOCAL lock_timeout = '5s';

CREATE TABLE dead_letters (
    partition        integer     NOT NULL, -- of ticks.dead-letter, as record_offset
    record_offset    bigint      NOT NULL,
    failed_at        timestamptz NOT NULL, -- Kafka's time of the record
    source           text,                 -- null where the headers, which anybody can write, do not say it
    error_class      text        NOT NULL,
    stage            text,
    run_id           uuid,
    attempt          integer     NOT NULL,
    origin_topic     text,
    origin_partition integer,              -- -1: it was in no topic
    origin_offset    bigint,
    detail           text        NOT NULL,
    size             bigint      NOT NULL, -- bytes of the value
    identity         uuid,                 -- shared with the letters that a replay makes of the same record; null: none does
    PRIMARY KEY (partition, record_offset)
);

CREATE INDEX dead_letters_failed_at ON dead_letters (failed_at);
CREATE INDEX dead_letters_identity ON dead_letters (identity, failed_at, partition, record_offset) WHERE identity IS NOT NULL;

-- What became of the letters of a partition; whatever is in no range still waits. A range says nothing of a letter that
-- failed after settled_at: the topic was made anew, and gave out its offsets again.
CREATE TABLE dead_letter_settlements (
    partition     integer        PRIMARY KEY,
    redriven      int8multirange NOT NULL,
    dropped       int8multirange NOT NULL,
    settled_at    timestamptz    NOT NULL,
    record_offset bigint         NOT NULL -- of the newest record read of etl.settlements
);
