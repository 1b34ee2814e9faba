"""GET /stats/gaps."""

import json
from collections.abc import Sequence
from datetime import timedelta
from typing import Any
from urllib.parse import quote
from uuid import uuid4

import pytest

from libs.postgres.reading.gaps import _LONG_AGO, _NEVER, PAGE
from services.query.cursors import encode_cursor
from tests.integration.query.answers import Api
from tests.integration.query.rows import LONG_AGO, insert_run
from tests.integration.query.test_plans import nodes


async def insert_runs_missed(database: Any, source: str, *, age: timedelta) -> str:
    gap_id = uuid4()
    await database.execute(
        """INSERT INTO gaps (gap_id, kind, source, found_at, first_due, last_due, runs, interval_seconds)
           VALUES ($1, 'runs_missed', $2, $3, $3, $3, 4, 0.5)""",
        gap_id,
        source,
        LONG_AGO - age,
    )
    return str(gap_id)


async def insert_offsets_lost(database: Any, source: str, *, age: timedelta) -> str:
    gap_id = uuid4()
    await database.execute(
        """INSERT INTO gaps (gap_id, kind, source, found_at, consumer_group, topic, partition, from_offset, to_offset)
           VALUES ($1, 'offsets_lost', $2, $3, 'g', 't', 1, 9, 4)""",
        gap_id,
        source,
        LONG_AGO - age,
    )
    return str(gap_id)


async def insert_shards(database: Any, source: str, shards: Sequence[str], *, age: timedelta, error: str | None = "429") -> str:
    run_id = await insert_run(database, source, "running")
    for shard in shards:
        await database.execute(
            "INSERT INTO etl_run_shards (run_id, shard, error, reported_at) VALUES ($1, $2, $3, $4)",
            *(run_id, shard, error, LONG_AGO - age),
        )
    return str(run_id)


def ids(gaps: Sequence[dict[str, Any]]) -> list[str]:
    return [str(gap.get("gap_id", gap.get("run_id"))) for gap in gaps]


async def test_gaps_and_failed_shards_are_one_list_newest_first_and_filtered(api: Api, database: Any) -> None:
    oldest = await insert_offsets_lost(database, "", age=timedelta(hours=3))
    missed = await insert_runs_missed(database, "csv", age=timedelta(hours=2))
    failed = await insert_shards(database, "coingecko", ["1"], age=timedelta(hours=1))
    await insert_shards(database, "coingecko", ["1"], age=timedelta(0), error=None)

    async def listed(query: str = "") -> list[str]:
        return ids((await api.get(f"/stats/gaps?{query}")).body["gaps"])

    assert await listed() == [failed, missed, oldest]
    assert await listed("source=csv") == [missed]
    assert await listed("source=coingecko") == [failed]
    assert await listed("kind=shard_failed") == [failed]
    assert await listed("kind=offsets_lost") == [oldest]
    since = quote((LONG_AGO - timedelta(hours=2)).isoformat())
    assert await listed(f"since={since}") == [failed, missed]
    assert await listed(f"since={since}&kind=runs_missed") == [missed]
    one, two, three = (await api.get("/stats/gaps")).body["gaps"]
    assert (one["shard"], one["error"], one["source"]) == ("1", "429", "coingecko")
    assert (two["runs"], float(two["interval_seconds"])) == (4, 0.5)
    assert (three["source"], three["from_offset"], three["to_offset"], three["group"]) == (None, 9, 4, "g")


async def test_a_walk_meets_each_gap_once_although_many_were_found_at_the_same_moment(api: Api, database: Any) -> None:
    shards = [f"{number}-{'é' * 500}" for number in range(4)]
    failed = await insert_shards(database, "csv", shards, age=timedelta(0))
    known = [await insert_runs_missed(database, "csv", age=timedelta(0)) for _ in range(5)] + [failed] * 4
    known += [await insert_offsets_lost(database, "csv", age=timedelta(days=1)) for _ in range(2)]
    for limit in (1, 2, 3, 11):
        met: list[dict[str, Any]] = []
        cursor = ""
        while True:
            page = (await api.get(f"/stats/gaps?limit={limit}{cursor}")).body
            assert 0 < len(page["gaps"]) <= limit, "no page leads to an empty one"
            met += page["gaps"]
            if page["next_cursor"] is None:
                break
            cursor = f"&cursor={page['next_cursor']}"
        assert sorted(ids(met)) == sorted(known)
        assert {gap["shard"] for gap in met if gap["kind"] == "shard_failed"} == set(shards)


async def test_a_cursor_belongs_to_its_filters(api: Api, database: Any) -> None:
    for _ in range(2):
        await insert_runs_missed(database, "csv", age=timedelta(0))
    cursor = (await api.get("/stats/gaps?limit=1")).body["next_cursor"]
    for other in ("source=csv", "kind=runs_missed", "since=2020-01-01T00:00Z"):
        assert (await api.get(f"/stats/gaps?{other}&cursor={cursor}")).code == "invalid_cursor"


@pytest.mark.parametrize("value", ["0001-01-01T00:00:00+14:00", "9999-12-31T23:59:59-14:00", "soon", None])
async def test_a_made_up_cursor_is_refused(api: Api, value: str | None) -> None:
    made_up = encode_cursor("gaps:::", value, "")
    answered = await api.get(f"/stats/gaps?cursor={made_up}")
    assert (answered.status, answered.code) == (400, "invalid_cursor")


@pytest.mark.parametrize(
    "query",
    [
        "kind=nosuch",
        "source=nosuch",
        "limit=0",
        "since=now",
        "since=0",
        "since=2026-01-01",
        "since=2026-01-01T00:00:00",
        "since=2026-01-01T00:00:00+01:00",
        "since=0001-01-01T00:00:00%2B14:00",
        "since=9999-12-31T23:59:59-14:00",
        "since=2026-13-01T00:00:00Z",
    ],
)
async def test_what_is_no_filter_is_refused_by_name(api: Api, query: str) -> None:
    answered = await api.get(f"/stats/gaps?{query}", encoded=True)
    assert (answered.status, answered.body["parameter"]) == (400, query.split("=", maxsplit=1)[0])


async def test_a_page_is_read_from_the_indexes_of_times(database: Any) -> None:
    await database.execute(
        """INSERT INTO gaps (gap_id, kind, source, found_at) SELECT gen_random_uuid(), 'runs_missed', 'csv',
               now() - n * interval '1 minute' FROM generate_series(1, 20000) AS n"""
    )
    await database.execute(
        """INSERT INTO etl_runs (run_id, source, status, last_event_at) SELECT md5(n::text)::uuid, 'csv', 'failed', now()
           FROM generate_series(1, 20000) AS n"""
    )
    await database.execute(
        """INSERT INTO etl_run_shards (run_id, shard, error, reported_at) SELECT md5(n::text)::uuid, '1',
               CASE WHEN n % 2 = 0 THEN '429' END, now() - n * interval '1 minute' FROM generate_series(1, 20000) AS n"""
    )
    await database.execute("VACUUM ANALYZE gaps, etl_runs, etl_run_shards")
    middle = await database.fetchval("SELECT found_at FROM gaps ORDER BY found_at OFFSET 10000 LIMIT 1")
    for before in (_NEVER, middle):
        bound = (before, "", _LONG_AGO, None, None, 50)
        explained = json.loads(await database.fetchval(f"EXPLAIN (FORMAT JSON) {PAGE}", *bound))
        assert not {"Seq Scan", "Bitmap Heap Scan"} & set(nodes(explained[0]["Plan"]))
