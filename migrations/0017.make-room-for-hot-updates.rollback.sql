SET LOCAL lock_timeout = '5s';

ALTER TABLE assets SET (fillfactor = 80);
ALTER TABLE quotes SET (fillfactor = 80);
