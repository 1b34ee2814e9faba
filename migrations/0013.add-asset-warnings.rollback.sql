ALTER TABLE assets DROP COLUMN warnings;
