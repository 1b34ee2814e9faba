"""That an index serves every page: what is fast with ten rows by luck must be so with 15,000."""

import json
from collections.abc import AsyncIterator, Iterator
from typing import Any

from libs.postgres.reading.assets import _PAGES, AssetOrder

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


MOVED_ON = """
    UPDATE assets SET market_cap_rank = market_cap_rank + 100000, price_usd = price_usd + 1000000,
        volume_24h_usd = volume_24h_usd + 1000000, market_cap_usd = market_cap_usd + 1000000,
        updated_at = now() + version * interval '1 second'"""
"""Every value is past the greatest that the statistics know, as each `updated_at` is once all assets have changed."""


async def test_every_page_of_every_order_is_read_from_an_index(database: Any) -> None:
    await database.execute(FIFTEEN_THOUSAND)
    await database.execute("VACUUM ANALYZE assets")
    async for page, source, used in plans(database):
        assert "Seq Scan" not in used, (page, source, used)
        if source != "csv":
            assert "Sort" not in used, (page, source, used)


async def test_no_page_is_sorted_because_the_statistics_are_older_than_the_values(database: Any) -> None:
    """Postgres would take the rows behind a place for a few dozen, and sort them: all 15,000, at each page of a walk."""
    await database.execute(FIFTEEN_THOUSAND)
    await database.execute("VACUUM ANALYZE assets")
    await database.execute(MOVED_ON)
    async for page, source, used in plans(database):
        if source != "csv":
            assert "Sort" not in used, (page, source, used)


async def plans(database: Any) -> AsyncIterator[tuple[object, str | None, list[str]]]:
    """Yield what each statement is about, and the nodes of its plan at a place inside of the list."""
    for (order, phase, start, descending, by_source, found), statement in _PAGES.items():
        if found:
            continue  # a search reads every row, and says so
        column = order.column
        place = await database.fetchrow(
            f"SELECT {column} AS value, asset_uid FROM assets WHERE {column} IS NOT NULL ORDER BY 1, 2 OFFSET 6000 LIMIT 1"  # noqa: S608 -- closed set
        )
        bound = [50, 0] if start == "offset" else [50, place["asset_uid"]]
        if start == "place" and phase == "valued" and order is not AssetOrder.UID:
            bound.append(place["value"])
        for source in ("coingecko", "csv") if by_source else (None,):
            filtered = [*bound, source] if source else bound
            explained = json.loads(await database.fetchval(f"EXPLAIN (FORMAT JSON) {statement}", *filtered))
            yield (order, phase, start, descending), source, list(nodes(explained[0]["Plan"]))
