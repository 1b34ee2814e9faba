DROP TABLE assets;
DROP SEQUENCE asset_versions;
