"""That a look at all assets is a walk through the table, whatever of it has changed: it is taken ten times a second."""

import json
from collections.abc import Iterator
from typing import Any

import pytest

from libs.postgres.reading.assets import LOOK

FIFTEEN_THOUSAND = """
    INSERT INTO assets (asset_uid, version, symbol, name, market_cap_rank, anchor_source, anchor_source_id, source, source_id,
        agreeing, listings_total, price_usd, market_cap_usd, volume_24h_usd, source_updated_at, fetched_at, tick_id, changed_by,
        updated_at)
    SELECT 'uid' || n, n, 'S', 'Name', CASE WHEN n % 5 <> 0 THEN n END, source, n, source, n,
           '[]', 1, CASE WHEN n % 7 <> 0 THEN n END, CASE WHEN n % 5 <> 0 THEN n END, CASE WHEN n % 6 <> 0 THEN n END, now(),
           now(), gen_random_uuid(), gen_random_uuid(), now() - n * interval '1 second'
    FROM generate_series(1, 15000) AS n, LATERAL (SELECT CASE WHEN n <= 20 THEN 'csv' ELSE 'coingecko' END AS source) AS of_source
    ORDER BY random()"""


def nodes(plan: dict[str, Any]) -> Iterator[str]:
    yield plan["Node Type"]
    for below in plan.get("Plans", ()):
        yield from nodes(below)


@pytest.mark.parametrize("mode", ["force_custom_plan", "force_generic_plan"])
async def test_a_look_walks_through_the_table_for_the_whole_and_for_what_is_new_and_joins_nothing(
    database: Any, mode: str
) -> None:
    await database.execute(FIFTEEN_THOUSAND)
    await database.execute("VACUUM ANALYZE assets")
    horizon = await database.fetchval("SELECT pg_snapshot_xmin(pg_current_snapshot())::text")
    await database.execute(f"SET plan_cache_mode = {mode}")
    for since in (f"'{horizon}'", "NULL"):
        await database.execute(f"PREPARE look AS {LOOK}")
        (explained,) = json.loads(await database.fetchval(f"EXPLAIN (ANALYZE, FORMAT JSON) EXECUTE look ({since})"))
        await database.execute("DEALLOCATE look")
        used = sorted(nodes(explained["Plan"]))
        assert used == ["Aggregate", "Materialize", "Merge Join", "Result", "Seq Scan", "Seq Scan"]
        assert explained["Plan"]["Join Filter"] == "false"
