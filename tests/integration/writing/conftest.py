from collections.abc import AsyncIterator, Sequence
from datetime import UTC, datetime, timedelta
from uuid import UUID, uuid4

import msgspec
import pytest

from libs.domain.identity import tick_id_of
from libs.domain.numbers import number_of
from libs.domain.quotes import Quote
from libs.kafka.partitioning import partition_of
from libs.postgres.pool import Pool
from libs.postgres.writing.chunks import Destination, Entry, Part, Written, write_together
from libs.postgres.writing.history import History
from libs.postgres.writing.partitions import CANDLES, TICKS, Partition, ensure, month_of
from libs.postgres.writing.sessions import open_writing_pool
from libs.postgres.writing.ticks import Tick

START = datetime(2026, 7, 1, 12, 0, tzinfo=UTC)
PARTITIONS = 6
RUN = UUID(int=7)
TABLES = ("raw_coingecko", "raw_coinpaprika", "quotes", "quote_history", "candles_1h", "assets", "etl_run_progress")
EMPTY = f"TRUNCATE {', '.join(TABLES)}, late_ticks, assets_gone"
TODAYS = {Partition(TICKS, START.date()), Partition(CANDLES, month_of(START.date()))}


@pytest.fixture
async def pool(database_url: str) -> AsyncIterator[Pool]:
    async with open_writing_pool(database_url, application="test", connections=8, statement_seconds=20) as pool:
        async with pool.acquire() as connection:
            await ensure(connection, TODAYS)
        yield pool


def place_of(asset_uid: str) -> int:
    return partition_of(asset_uid.encode(), PARTITIONS)


def history(*, ticks_for: timedelta = timedelta(days=90), candles_for: timedelta | None = None) -> History:
    """What is kept on the day of these tests' ticks, whose partitions are there."""
    return History(lambda: START, ticks_for, candles_for, set(TODAYS))


PRIORITIES = {"coingecko": 1, "coinpaprika": 2}
COINGECKO = Destination("coingecko", "raw_coingecko", PRIORITIES, place_of, history())
COINPAPRIKA = Destination("coinpaprika", "raw_coinpaprika", PRIORITIES, place_of, history())


def tick(
    source_id: str,
    asset_uid: str,
    *,
    source: str = "coingecko",
    minute: int = 0,
    price: str = "1.5",
    rank: int | None = None,
    offset: int = 0,
    name: str | None = None,
    run_id: UUID = RUN,
    payload: str | None = None,
) -> Tick:
    at = START + timedelta(minutes=minute)
    payload = payload or f'{{"id":"{source_id}","symbol":"{asset_uid}","price":{price},"at":{minute}}}'
    quote = Quote(
        source=source,
        source_id=source_id,
        asset_uid=asset_uid,
        symbol=asset_uid.upper(),
        name=name or source_id,
        price_usd=number_of(price),
        market_cap_usd=number_of(1000),
        volume_24h_usd=None,
        percent_change_1h=None,
        percent_change_24h=number_of("-1.25"),
        percent_change_7d=None,
        circulating_supply=None,
        total_supply=None,
        max_supply=number_of(9223372036854775807),
        market_cap_rank=rank,
        source_updated_at=at,
        fetched_at=at + timedelta(seconds=5),
        tick_id=tick_id_of(source, source_id, payload.encode()),
        run_id=run_id,
    )
    return Tick(offset, quote, msgspec.Raw(payload.encode()))


def numbered(ticks: list[Tick], first: int = 0) -> list[Entry]:
    return [one._replace(offset=first + place) for place, one in enumerate(ticks)]


async def write_chunk(pool: Pool, destination: Destination, partition: int, entries: Sequence[Entry]) -> Written:
    return await write_together(pool, destination, [Part(partition, entries)])


async def snapshot(pool: Pool) -> dict[str, list[tuple[object, ...]]]:
    """Every table, without what says only when and in which order it was written."""
    left_out = {"record_id", "version", "updated_at", "deleted_at", "changed_by", "moves"}
    tables: dict[str, list[tuple[object, ...]]] = {}
    for table in TABLES:
        whole = "candles_1h_all" if table == "candles_1h" else table
        rows = await pool.fetch(f"SELECT * FROM {whole}")  # noqa: S608 - our own names
        tables[table] = sorted((tuple(value for name, value in row.items() if name not in left_out) for row in rows), key=repr)
    return tables


def unique_run() -> UUID:
    return uuid4()
