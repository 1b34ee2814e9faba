"""GET /stats and GET /data/raw."""

import json
from base64 import b64encode
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Any
from uuid import UUID, uuid4

from libs.contracts.cursors import Cursor, PollCursor, QuotaUsage, ScheduleMark, cursor_key, month_of
from libs.kafka.connection import KafkaConnection
from libs.kafka.publishing import open_publisher
from libs.kafka.records import Record
from libs.kafka.transactions import TransactionalClient
from libs.sources.catalogue import SOURCES
from services.query.topics import QueryTopics
from tests.integration.normalizer.conftest import raw_tick, record_of
from tests.integration.query.answers import Api, until
from tests.integration.query.conftest import Serve
from tests.integration.query.rows import (
    LONG_AGO,
    AssetRow,
    QuoteRow,
    insert_assets,
    insert_quotes,
    insert_raw_ticks,
    insert_run,
)


async def test_runs_are_listed_newest_first_and_filtered(api: Api, database: Any) -> None:
    old = await insert_run(database, "csv", "failed", age=timedelta(hours=2))
    mid = await insert_run(database, "coingecko", "succeeded", age=timedelta(hours=1), stored=7)
    new = await insert_run(database, "coingecko", "running")

    async def listed(query: str = "") -> list[UUID]:
        return [UUID(run["run_id"]) for run in (await api.get(f"/stats?{query}")).body["runs"]]

    assert await listed() == [new, mid, old]
    assert await listed("source=coingecko") == [new, mid]
    assert await listed("status=failed") == [old]
    assert await listed("limit=1&offset=1") == [mid]
    page = (await api.get("/stats?limit=1&offset=9")).body
    assert (page["runs"], page["total"]) == ([], 3)
    (run,) = (await api.get("/stats?status=succeeded")).body["runs"]
    assert (run["counts"]["stored"], run["duration_ms"], run["trigger"]) == (7, 2000, "schedule")
    for query in ("status=done", "source=nosuch"):
        assert (await api.get(f"/stats?{query}")).body["parameter"] == query.split("=")[0]


async def test_one_run_shows_its_shards(api: Api, database: Any) -> None:
    run_id = await insert_run(database, "coingecko", "failed")
    await database.execute(
        """INSERT INTO etl_run_shards (run_id, shard, fetched, error, reported_at)
           VALUES ($1, '1', 250, NULL, $2), ($1, '2', 0, '429', $2)""",
        run_id,
        LONG_AGO,
    )
    run = (await api.get(f"/stats/runs/{run_id}")).body
    assert [(one["shard"], one["fetched"], one["error"]) for one in run["shard_reports"]] == [("1", 250, None), ("2", 0, "429")]
    bare = await insert_run(database, "csv", "requested")
    assert (await api.get(f"/stats/runs/{bare}")).body["shard_reports"] == []


async def test_an_unusual_run_says_what_is_unusual_in_every_list(api: Api, database: Any) -> None:
    run_id = await insert_run(database, "coingecko", "succeeded")
    anomaly = {"kind": "row_count", "value": 60.0, "expected": 250.0, "words": "60 rows, usually 250"}
    moves = {"compared": 60, "median_percent": 0.5, "large_share": 0.0}
    await database.execute(
        "UPDATE etl_runs SET anomalies = $1::jsonb, price_moves = $2::jsonb", json.dumps([anomaly]), json.dumps(moves)
    )
    listed = (await api.get("/stats")).body["runs"][0]
    last = (await api.get("/stats/sources")).body["sources"][0]["last_run"]
    for run in (listed, (await api.get(f"/stats/runs/{run_id}")).body, last):
        assert (run["anomalies"], run["price_moves"]) == ([anomaly], moves)
    plain = await insert_run(database, "coingecko", "running")
    run = (await api.get(f"/stats/runs/{plain}")).body
    assert (run["anomalies"], run["price_moves"]) == ([], None)


async def test_a_source_shows_what_has_drifted_counted_and_the_newest_first(api: Api, database: Any) -> None:
    found = [
        ("of_a_later_release", "id", [], []),
        ("new", "roi", [], ["object"]),
        ("retyped", "price", ["number"], ["string"]),
        ("new", "tags", [], ["array"]),
    ]
    for minutes, (kind, name, was, now) in enumerate(found):
        await database.execute(
            """INSERT INTO schema_drift (run_id, shard, field, kind, source, was, has_now, found_at)
               VALUES ($1, '1', $2, $3, 'coingecko', $4, $5, $6)""",
            *(UUID(int=1), name, kind, was, now, LONG_AGO + timedelta(minutes=minutes)),
        )
    coingecko, paprika, *_ = (await api.get("/stats/sources")).body["sources"]
    assert coingecko["drift"]["counts"] == {"new": 2, "missing": 0, "retyped": 1, "of_a_later_release": 1}
    assert [one["field"] for one in coingecko["drift"]["recent"]] == ["tags", "price", "roi", "id"]
    assert coingecko["drift"]["recent"][1] == {
        "kind": "retyped",
        "field": "price",
        "was": ["number"],
        "now": ["string"],
        "run_id": str(UUID(int=1)),
        "shard": "1",
        "found_at": "2026-01-02T03:06:05Z",
    }
    assert paprika["drift"] == {"counts": {"new": 0, "missing": 0, "retyped": 0}, "recent": []}


async def test_an_unknown_run_is_404_and_a_malformed_id_400(api: Api) -> None:
    assert (await api.get(f"/stats/runs/{uuid4()}")).code == "run_not_found"
    for malformed in ("1", "x" * 36, uuid4().hex):
        answered = await api.get(f"/stats/runs/{malformed}")
        assert (answered.status, answered.body["parameter"]) == (400, "run_id")


async def test_sources_are_counted_with_their_last_run_and_freshness(api: Api, database: Any) -> None:
    await insert_raw_ticks(database, "coingecko", ["{}"] * 3)
    await insert_quotes(database, [QuoteRow("coingecko", "bitcoin", "btc", Decimal(1)), QuoteRow("coingecko", "ether", "eth")])
    await insert_assets(database, [AssetRow("btc")])
    await insert_run(database, "coingecko", "succeeded", age=timedelta(hours=1))
    last = await insert_run(database, "coingecko", "failed")
    coingecko, paprika, csv, binance = (await api.get("/stats/sources")).body["sources"]
    assert coingecko["raw"] == {"count": 3, "estimated": False}
    assert (coingecko["listings"], coingecko["assets"]) == (2, 1)
    assert coingecko["freshness_seconds"] > 0
    assert (coingecko["last_run"]["run_id"], coingecko["last_success"]["status"]) == (str(last), "succeeded")
    assert (paprika["source"], paprika["last_run"], paprika["freshness_seconds"]) == ("coinpaprika", None, None)
    assert csv["raw"]["count"] == 0
    assert [one["runs_here"] for one in (coingecko, csv, binance)] == [True, True, False]


async def test_raw_rows_are_paged_newest_first_with_the_providers_digits(api: Api, database: Any) -> None:
    sent = (
        '{"id": "x", "price": 3.84e-18, "max": 9223372036854775807, "nested": [{"b": 123456789012345678901234567890, "a": 0.10}]}'
    )
    ids = await insert_raw_ticks(database, "coinpaprika", [sent] * 6)
    seen: list[int] = []
    cursor = ""
    while True:
        page = (await api.get(f"/data/raw/coinpaprika?limit=2{cursor}")).body
        assert page["data"], "no page leads to an empty one"
        seen += [row["record_id"] for row in page["data"]]
        if page["next_cursor"] is None:
            break
        cursor = f"&cursor={page['next_cursor']}"
    assert seen == ids[::-1]
    assert [row["record_id"] for row in (await api.get("/data/raw/coinpaprika?limit=2&offset=1")).body["data"]] == ids[::-1][1:3]
    one = await api.get(f"/data/raw/coinpaprika/{ids[0]}")
    for digits in ("3.84e-18", ":9223372036854775807", ":123456789012345678901234567890", ":0.10"):
        assert digits in one.text


async def test_raw_rows_that_are_not_there(api: Api, database: Any) -> None:
    for source in ("csv", "binance"):  # one that does not run here has data or none, like any other
        assert (await api.get(f"/data/raw/{source}")).body["data"] == []
    assert (await api.get("/data/raw/csv/1")).code == "record_not_found"
    assert (await api.get("/data/raw/nosuch")).code == "unknown_source"
    assert (await api.get("/data/raw/nosuch/1")).code == "unknown_source"
    await insert_raw_ticks(database, "csv", ["{}", "{}"])
    for record_id in ("0", "-1", "x", "9223372036854775808", "1.5", "1e400"):
        answered = await api.get(f"/data/raw/csv/{record_id}")
        assert (answered.status, answered.body["parameter"]) == (400, "record_id")
    cursor = (await api.get("/data/raw/csv?limit=1")).body["next_cursor"]
    assert (await api.get(f"/data/raw/coingecko?cursor={cursor}")).code == "invalid_cursor"


async def test_caught_up_is_lag_0_although_markers_take_offsets(
    whole_api: Api, connection: KafkaConnection, created_topics: QueryTopics
) -> None:
    topic = created_topics.raw["coingecko"]
    client = TransactionalClient(connection, f"lag-{uuid4().hex}")
    await client.open()
    tick = Record(topic, b"btc", b"{}", partition=0)
    async with client.transaction() as transaction:
        await transaction.send([tick, tick, tick])

    async def all_behind() -> bool:
        """The marker that ends a transaction is written after the commit has been answered."""
        before = (await whole_api.get("/stats/checkpoints")).body["checkpoints"][0]
        assert (before["source"], before["partitions"][0]["committed"]) == ("coingecko", None)
        return bool(before["lag_messages"] == 4 and before["lag_seconds"] >= 0)

    await until(all_behind)
    async with client.transaction() as transaction:
        await transaction.commit_offset(created_topics.group, topic, 0, 3)

    async def caught_up() -> bool:
        checkpoint = (await whole_api.get("/stats/checkpoints")).body["checkpoints"][0]
        first = checkpoint["partitions"][0]
        return (checkpoint["lag_messages"], first["committed"], first["log_end"], first["lag_seconds"]) == (0, 3, 4, 0)

    await until(caught_up)
    async with client.transaction() as transaction:
        await transaction.send([tick])

    async def one_behind() -> bool:
        first = (await whole_api.get("/stats/checkpoints")).body["checkpoints"][0]["partitions"][0]
        return bool(first["lag_messages"] == 2 and 0 <= first["lag_seconds"] < 60)

    await until(one_behind)
    await client.close()


async def test_a_stalled_consumer_is_told_from_an_idle_one_in_messages_and_in_seconds_of_event_time(
    serve: Serve, database_url: str, kafka_bootstrap_servers: str, connection: KafkaConnection, created_topics: QueryTopics
) -> None:
    """One partition is read to its end, markers and all; the other has a tick that nobody reads."""
    topic, hour_ago = created_topics.raw["coingecko"], datetime.now(UTC) - timedelta(hours=1)
    client = TransactionalClient(connection, f"lag-{uuid4().hex}")
    await client.open()
    tick = record_of(topic, raw_tick("bitcoin", "btc", at=hour_ago))
    async with client.transaction() as transaction:
        await transaction.send([tick._replace(partition=0), tick._replace(partition=1)])
        await transaction.commit_offset(created_topics.group, topic, 0, 1)
    await client.close()
    async with serve(database_url=database_url, servers=kafka_bootstrap_servers, stalled_seconds=1.0) as api:

        async def told() -> bool:
            body = (await api.get("/stats/checkpoints")).body
            coingecko, paprika, *_ = body["checkpoints"]
            idle, stalled = coingecko["partitions"]
            return (
                (idle["status"], idle["lag_messages"], idle["event_lag_seconds"]) == ("idle", 0, 0)
                and (stalled["status"], stalled["lag_messages"], coingecko["status"]) == ("stalled", 2, "stalled")
                and 3_600 <= stalled["event_lag_seconds"] < 3_700
                and stalled["still_seconds"] >= 1
                and (paprika["status"], body["members"]) == ("idle", 0)
            )

        await until(told)
        health = (await api.get("/health")).body
        assert (health["status"], health["normalizer"]["status"]) == ("degraded", "stalled")


async def test_checkpoints_show_each_shards_cursor(
    whole_api: Api, connection: KafkaConnection, created_topics: QueryTopics, cursors_topic: str
) -> None:
    now = datetime.now(UTC)
    run_id, two = uuid4(), b64encode(uuid4().bytes + uuid4().bytes).decode()
    poll = PollCursor(source="coingecko", shard="1", run_id=run_id, polled_at=now, tick_ids=two)
    quota = QuotaUsage(source="coingecko", command_partition=0, month=now.date(), month_requests=1, recent_requests=())
    async with open_publisher(connection) as publisher:
        for cursor in (poll, quota):
            record = Record(cursors_topic, cursor_key(cursor).encode(), cursor.model_dump_json().encode())
            await publisher.publish([record])

    async def shown() -> bool:
        cursors = (await whole_api.get("/stats/checkpoints")).body["checkpoints"][0]["cursors"]
        return [(one["shard"], one["ticks"], one["run_id"]) for one in cursors] == [("1", 2, str(run_id))]

    await until(shown)


async def test_sources_show_their_schedule_and_what_is_left_of_their_quota(
    whole_api: Api, connection: KafkaConnection, created_topics: QueryTopics, cursors_topic: str
) -> None:
    now = datetime.now(UTC)
    until_then = now + timedelta(minutes=2)
    usages = [
        QuotaUsage(
            source="coingecko",
            command_partition=0,
            month=month_of(now),
            month_requests=7,
            recent_requests=(now, now),
            minute_limit=5,
        ),
        QuotaUsage(
            source="coingecko",
            command_partition=1,
            month=month_of(now),
            month_requests=1,
            recent_requests=(now - timedelta(seconds=90),),
            blocked_until=until_then,
            month_limit=9,
        ),
    ]
    marks = [
        ScheduleMark(source="coingecko", requested_at=now, interval_seconds=300),
        ScheduleMark(source="csv", requested_at=now),
    ]
    cursors: list[Cursor] = [*usages, *marks]
    async with open_publisher(connection) as publisher:
        for cursor in cursors:
            await publisher.publish([Record(cursors_topic, cursor_key(cursor).encode(), cursor.model_dump_json().encode())])

    async def shown() -> bool:
        coingecko, paprika, csv, _ = (await whole_api.get("/stats/sources")).body["sources"]
        if coingecko["quota"] is None or csv["schedule"] is None:
            return False
        assert coingecko["quota"]["minute"] == {"limit": 5, "left": 3}
        assert coingecko["quota"]["month"] is None  # the owner of partition 0 sent last, and knows of none
        assert datetime.fromisoformat(coingecko["quota"]["blocked_until"]) == until_then
        assert datetime.fromisoformat(coingecko["schedule"]["next_at"]) == now + timedelta(minutes=5)
        assert (csv["schedule"]["next_at"], csv["quota"], paprika["schedule"], paprika["quota"]) == (None, None, None, None)
        return True

    await until(shown)


async def test_debug_has_counts_and_checkpoints_together(whole_api: Api, database: Any) -> None:
    await insert_assets(database, [AssetRow("btc")])
    body = (await whole_api.get("/stats/debug")).body
    assert (body["assets"], len(body["sources"]), len(body["checkpoints"]), body["unavailable"]) == (
        1,
        len(SOURCES),
        len(SOURCES),
        {},
    )


async def test_debug_without_kafka_says_so_and_still_counts(api: Api) -> None:
    body = (await api.get("/stats/debug")).body
    assert (body["assets"], body["checkpoints"]) == (0, None)
    assert "kafka" in body["unavailable"]
    assert (await api.get("/stats/checkpoints")).code == "kafka_unavailable"
