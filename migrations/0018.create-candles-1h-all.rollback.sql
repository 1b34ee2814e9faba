SET LOCAL lock_timeout = '5s';

-- Versions before this one know of no open hours, and would make a row of the next tick alone. Normalizers must be stopped.
INSERT INTO candles_1h SELECT * FROM candles_1h_all ON CONFLICT DO NOTHING;
DROP VIEW candles_1h_all;
