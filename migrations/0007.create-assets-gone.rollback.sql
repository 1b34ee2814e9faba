DROP TABLE assets_gone;
