"""GET /stats/dead-letters."""

import json
from datetime import datetime, timedelta
from typing import Any
from urllib.parse import quote
from uuid import UUID, uuid4

import pytest

from libs.contracts.dead_letters import Origin, Told
from libs.contracts.settlements import Settlement
from libs.postgres.reading.dead_letters import COUNT
from libs.postgres.writing.dead_letters import DeadLetter, upsert_letters, upsert_settlements
from tests.integration.query.answers import Api
from tests.integration.query.rows import LONG_AGO

RUN = UUID(int=7)


def letter(
    offset: int,
    error_class: str,
    *,
    source: str | None = "csv",
    failed_at: datetime = LONG_AGO,
    identity: UUID | None = None,
    run_id: UUID | None = None,
) -> DeadLetter:
    told = Told(source, error_class, "normalizer", run_id, 1, Origin("ticks.raw.csv", 0, offset), "")
    return DeadLetter(0, offset, failed_at, told, 7, identity)


@pytest.fixture
async def known(database: Any) -> None:
    same, later = uuid4(), LONG_AGO + timedelta(hours=1)
    await upsert_letters(
        database,
        [
            letter(1, "nul_character"),
            letter(2, "nul_character", identity=same, run_id=RUN),
            letter(3, "nul_character", identity=same, run_id=RUN),
            letter(4, "nul_character", source=None),
            letter(5, "undecodable", source="coingecko"),
            letter(6, "undecodable", source="coingecko"),
            letter(7, "undecodable", source="coingecko", failed_at=later),
        ],
    )
    settlement = Settlement(partition=0, settled_at=LONG_AGO + timedelta(minutes=1), redriven=((5, 6),), dropped=((6, 8),))
    await upsert_settlements(database, [(0, settlement)])


async def test_letters_are_counted_by_source_class_and_what_became_of_them(api: Api, known: None) -> None:
    """The letter at 7 failed after the settlement: its offset was given out anew, and it waits."""
    body = (await api.get("/stats/dead-letters")).body
    counted = {
        (one["source"], one["error_class"]): (one["waiting"], one["redriven"], one["dropped"], one["repeats"])
        for one in body["dead_letters"]
    }
    assert counted == {
        ("csv", "nul_character"): (2, 0, 0, 1),
        ("coingecko", "undecodable"): (1, 1, 1, 0),
        (None, "nul_character"): (1, 0, 0, 0),
    }
    assert body["total"] == {"waiting": 4, "redriven": 1, "dropped": 1, "repeats": 1}
    assert body["dead_letters"][0]["source"] == "csv"


@pytest.mark.parametrize(
    ("query", "waiting", "repeats"),
    [
        ("source=csv", 2, 1),
        ("error_class=undecodable", 1, 0),
        (f"run_id={RUN}", 1, 1),
        (f"since={quote((LONG_AGO + timedelta(minutes=30)).isoformat())}", 1, 0),
        ("source=coinpaprika", 0, 0),
    ],
)
async def test_filters_narrow_the_counts(api: Api, known: None, query: str, waiting: int, repeats: int) -> None:
    total = (await api.get(f"/stats/dead-letters?{query}", encoded=True)).body["total"]
    assert (total["waiting"], total["repeats"]) == (waiting, repeats)


@pytest.mark.parametrize("query", ["source=nosuch", "error_class=nosuch", "run_id=1", "since=now", "limit=3"])
async def test_what_is_no_filter_is_refused_by_name(api: Api, query: str) -> None:
    answered = await api.get(f"/stats/dead-letters?{query}")
    assert (answered.status, answered.body["parameter"]) == (400, query.split("=", maxsplit=1)[0])


async def test_a_repeat_is_found_by_the_index_and_not_by_looking_at_all_letters(database: Any) -> None:
    await database.execute(
        """INSERT INTO dead_letters (partition, record_offset, failed_at, source, error_class, attempt, detail, size, identity)
           SELECT n % 6, n, now(), 'csv', 'undecodable', 1, '', 1, md5((n / 2)::text)::uuid FROM generate_series(1, 20000) AS n"""
    )
    await database.execute("VACUUM ANALYZE dead_letters")
    explained = json.loads(await database.fetchval(f"EXPLAIN (FORMAT JSON) {COUNT}", None, None, None, None))
    assert '"dead_letters_identity"' in json.dumps(explained)
    assert (await database.fetchrow(COUNT, None, None, None, None))["repeats"] == 20_000 - 10_001
