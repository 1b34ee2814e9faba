"""How much of the write-ahead log is images of whole pages: of each page, the first time that it is written after a checkpoint.

A tick_id is a hash, so a new one lands on any page of its index. While that has more pages than ticks come between two
checkpoints, nearly every tick costs a page.
"""

from benchmarks.ground import Ground
from benchmarks.meters import wal_between, wal_position

HELD_A_TICK = 10
"""Rows that are there for each tick of the workload."""
INSERT = """
    INSERT INTO raw_coingecko (tick_id, source_id, asset_uid, run_id, fetched_at, source_updated_at, payload)
    SELECT gen_random_uuid(), 'a-listing', 'uid', '00000000-0000-0000-0000-000000000000', now(), now(), '{}'
    FROM generate_series(1, $1::bigint)"""
PAGES = "SELECT pg_relation_size('raw_coingecko_tick_id_key') / 8192"
FEWEST = 10


async def page_images(ground: Ground, ticks: int) -> dict[str, float]:
    """Fill the table, write everything down, and insert a few ticks, some, and many: bytes of images a tick of each."""
    await ground.clear()
    held = ticks * HELD_A_TICK
    await ground.pool.execute(INSERT, held, timeout=120)
    pages = int(await ground.pool.fetchval(PAGES))
    found = {"tick_id_index_bytes_per_row": 8192 * pages / held, "tick_id_index_pages": float(pages)}
    for name, share in (("tenth", 0.1), ("whole", 1.0), ("tenfold", 10.0)):
        inserted = max(FEWEST, int(pages * share))
        await ground.pool.execute("CHECKPOINT")
        start = await wal_position(ground)
        await ground.pool.execute(INSERT, inserted, timeout=120)
        wal = await wal_between(ground, start, await wal_position(ground))
        found[f"image_bytes_per_tick_at_a_{name}"] = wal.images / inserted
    return found
