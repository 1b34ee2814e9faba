"""What a pipeline has been through, so that a replay has something to get wrong."""

import json
import random
from collections.abc import Mapping, Sequence
from datetime import datetime, timedelta
from typing import Any
from uuid import UUID

import msgspec

from libs.contracts.raw_tick import RawTickFrame
from libs.contracts.run_events import RunRequested, RunStarted, ShardCounts, ShardFailed, ShardPublished
from libs.domain.identity import tick_id_of
from libs.domain.runs import Trigger
from libs.kafka.connection import KafkaConnection
from libs.kafka.end_probe import open_end_probe
from libs.kafka.offsets import GroupInUseError, open_group_offsets
from libs.kafka.publishing import Publisher
from libs.kafka.records import Record
from libs.kafka.sweeping import sweep
from libs.postgres.pool import Pool
from libs.recovery.rebuilding import Tables
from libs.recovery.replaying import Pipeline
from libs.sources.catalogue import PRIORITIES, SOURCES
from services.normalizer.wiring import Topics
from tests.integration.normalizer.conftest import NOW, event_record, raw_tick, record_of
from tests.integration.streaming.conftest import eventually

SYMBOLS = 25
RUNS = 6
TICKS_A_RUN = 80
RAW_TABLES = {source: SOURCES[source].raw_table for source in ("coingecko", "coinpaprika")}
TABLES = Tables(RAW_TABLES, PRIORITIES)

SNAPSHOT = {
    "raw_coingecko": "SELECT to_jsonb(held) - 'record_id' FROM raw_coingecko AS held ORDER BY tick_id",
    "raw_coinpaprika": "SELECT to_jsonb(held) - 'record_id' FROM raw_coinpaprika AS held ORDER BY tick_id",
    "quotes": "SELECT * FROM quotes ORDER BY source, source_id",
    "quote_history": "SELECT held::text FROM quote_history AS held ORDER BY 1",
    "candles_1h": "SELECT held::text FROM candles_1h_all AS held ORDER BY 1",
    "assets": "SELECT to_jsonb(assets) - 'version' - 'changed_by' - 'updated_at' FROM assets ORDER BY asset_uid",
    "etl_runs": "SELECT * FROM etl_runs ORDER BY run_id",
    "etl_run_shards": "SELECT * FROM etl_run_shards ORDER BY run_id, shard",
    # Without `moves`: how far a price moved is from what was held when it came, and hangs on how chunks fell.
    "etl_run_progress": """SELECT run_id, source, partition, through_offset, stored, duplicate, dead_lettered
        FROM etl_run_progress
        ORDER BY run_id, source, partition""",
}
"""Everything but surrogate ids, versions, and the times and ticks of versions."""


def pipeline_of(topics: Topics) -> Pipeline:
    return Pipeline(topics.raw, topics.assets, [topics.runs, topics.dead_letters, topics.settlements, topics.gaps])


async def snapshot(pool: Pool) -> dict[str, list[tuple[Any, ...]]]:
    return {table: [tuple(row.values()) for row in await pool.fetch(query)] for table, query in SNAPSHOT.items()}


async def published_assets(connection: KafkaConnection, topic: str) -> dict[str, int]:
    """Return asset_uid -> version as compaction would leave it."""
    held: dict[str, int] = {}
    async for records in sweep(connection, topic):
        for record in records:
            uid = (record.key or b"").decode()
            held.pop(uid, None)
            if record.value is not None:
                held[uid] = json.loads(record.value)["version"]
    return held


async def asset_versions(pool: Pool) -> dict[str, int]:
    return {row["asset_uid"]: row["version"] for row in await pool.fetch("SELECT asset_uid, version FROM assets")}


def paprika_tick(source_id: str, symbol: str, *, price: str, at: datetime, run_id: UUID) -> RawTickFrame:
    payload = (
        f'{{"id": "{source_id}", "symbol": "{symbol}", "name": "{source_id}", "rank": 0, '
        f'"last_updated": "{at.isoformat()}", "quotes": {{"USD": {{"price": {price}}}}}}}'
    ).encode()
    return RawTickFrame(
        tick_id=tick_id_of("coinpaprika", source_id, payload),
        source="coinpaprika",
        source_id=source_id,
        asset_uid=symbol.lower(),
        run_id=run_id,
        fetched_at=at,
        source_updated_at=at,
        payload=msgspec.Raw(payload),
    )


def ticks_of(chance: random.Random, topics: Topics, source: str, run: int, run_id: UUID) -> list[Record]:
    """A run's ticks: symbols that are shared and that move, times that go back, contents that come again, poison."""
    topic, records = topics.raw[source], list[Record]()
    for _ in range(TICKS_A_RUN):
        listing = chance.randrange(50)
        symbol = f"s{(listing + (run if listing % 7 == 0 else 0)) % SYMBOLS}"
        at = NOW + timedelta(seconds=chance.randrange(-3_600, 60 * run + 1))
        price = str(chance.randrange(1, 40))
        if source == "coingecko":
            tick = raw_tick(f"coin{listing}", symbol, price=price, rank=listing + 1, at=at, run_id=run_id)
        else:
            tick = paprika_tick(f"coin{listing}", symbol, price=price, at=at, run_id=run_id)
        records.append(record_of(topic, tick))
        if chance.random() < 0.1:
            records.append(chance.choice(records))
        if chance.random() < 0.04:
            records.append(Record(topic, b"poison", b"{", ()))
    # One listing alone under its symbol, which it leaves: the asset is gone then.
    lonely = raw_tick("wanderer", f"w{run}", price=str(run + 1), at=NOW + timedelta(seconds=run), run_id=run_id)
    return [*records, record_of(topic, lonely)] if source == "coingecko" else records


async def live_through(publisher: Publisher, topics: Topics, *, seed: int = 3) -> int:
    """Publish the runs of two sources with their events; return how many ticks there are."""
    chance, total = random.Random(seed), 0
    for run in range(RUNS):
        for source in RAW_TABLES:
            run_id = UUID(int=chance.getrandbits(128))
            ticks = ticks_of(chance, topics, source, run, run_id)
            total += len(ticks)
            last: dict[int, int] = {}
            for place in await publisher.publish(ticks):
                last[place.partition] = max(place.offset, last.get(place.partition, -1))
            await publisher.publish([event_record(topics.runs, event) for event in _events(source, run_id, ticks, last)])
    return total


def _events(source: str, run_id: UUID, ticks: Sequence[Record], last: Mapping[int, int]) -> list[Any]:
    counts = ShardCounts(fetched=len(ticks), unchanged=0, published=len(ticks), dead_lettered=0)
    at = NOW + timedelta(microseconds=run_id.int % 1_000_000)
    events: list[Any] = [
        RunRequested(run_id=run_id, source=source, at=at, trigger=Trigger.SCHEDULE),
        RunStarted(run_id=run_id, source=source, at=at, trigger=Trigger.SCHEDULE, shards=("1", "2")),
        ShardPublished(run_id=run_id, source=source, at=at, shard="1", counts=counts, last_offsets=dict(last)),
    ]
    if run_id.int % 3:
        nothing = ShardCounts(fetched=1, unchanged=1, published=0, dead_lettered=0)
        second: Any = ShardPublished(run_id=run_id, source=source, at=at, shard="2", counts=nothing, last_offsets={})
    else:
        second = ShardFailed(run_id=run_id, source=source, at=at, shard="2", error="500")
    return [*events, second]


async def until_quiet(connection: KafkaConnection, pool: Pool, topics: Topics, *, runs: int = 2 * RUNS) -> None:
    """Wait until the group has read everything and every run has ended."""

    async def read_and_ended() -> bool:
        if await pool.fetchval("SELECT count(*) FILTER (WHERE status IN ('succeeded', 'failed')) FROM etl_runs") < runs:
            return False
        async with open_end_probe(connection) as probe, open_group_offsets(connection, topics.group) as offsets:
            committed = await offsets.committed()
            ends = {topic: await probe.ends(topic) for topic in [*topics.raw.values(), topics.runs]}
        held = {(place.topic, place.partition): offset for place, offset in committed.items()}
        return all(held.get((topic, part), 0) >= end for topic, each in ends.items() for part, end in each.items())

    await eventually(read_and_ended, "everything is read and every run has ended", 60)


async def until_nobody_is_left(connection: KafkaConnection, topics: Topics) -> None:
    """Wait until a worker that was cancelled has left the group."""

    async def empty() -> bool:
        async with open_group_offsets(connection, topics.group) as offsets:
            try:
                await offsets.require_no_members()
            except GroupInUseError:
                return False
            return True

    await eventually(empty, "nobody is in the group", 30)
