-- Rows of these are written anew with nearly every tick: with half of each page free, the new version finds room on the page of
-- the old one, and no index is touched (measured, 15,000 listings: 65 of 100 updates at 80, 99 at 50). They are small tables.
-- Holds for pages that are filled from now on; the others become so in time.
-- depends: 0016.drop-asset-order-indexes

SET LOCAL lock_timeout = '5s';

ALTER TABLE quotes SET (fillfactor = 50);
ALTER TABLE assets SET (fillfactor = 50);
