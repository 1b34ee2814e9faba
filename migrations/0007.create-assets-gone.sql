-- Assets that lost their last listing: says which tombstones to publish again after a crash between commit and publish.
-- depends: 0006.create-runs

SET LOCAL lock_timeout = '5s';

CREATE TABLE assets_gone (
    asset_uid  text        PRIMARY KEY,
    deleted_by uuid        NOT NULL, -- the tick whose arrival took the last listing away
    deleted_at timestamptz NOT NULL DEFAULT clock_timestamp()
);
