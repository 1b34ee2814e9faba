"""Rows to read, written by SQL: these tests are about reading."""

from collections.abc import Iterable
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Any
from uuid import UUID, uuid4

import asyncpg

LONG_AGO = datetime(2026, 1, 2, 3, 4, 5, tzinfo=UTC)


@dataclass(frozen=True)
class AssetRow:
    asset_uid: str
    market_cap_rank: int | None = None
    price_usd: Decimal | None = None
    market_cap_usd: Decimal | None = None
    volume_24h_usd: Decimal | None = None
    max_supply: Decimal | None = None
    source: str = "coingecko"
    agreeing: str | None = None
    source_updated_at: datetime = LONG_AGO
    updated_at: datetime = LONG_AGO


@dataclass(frozen=True)
class QuoteRow:
    source: str
    source_id: str
    asset_uid: str
    price_usd: Decimal | None = None
    market_cap_rank: int | None = None
    source_updated_at: datetime = LONG_AGO
    run_id: UUID = field(default_factory=uuid4)


async def insert_assets(connection: Any, assets: Iterable[AssetRow]) -> None:
    rows = [
        (
            asset.asset_uid,
            asset.asset_uid.upper(),
            f"The {asset.asset_uid}",
            asset.market_cap_rank,
            asset.source,
            f"{asset.asset_uid}-id",
            asset.agreeing or f'[{{"source": "{asset.source}", "source_id": {_json(asset.asset_uid + "-id")}}}]',
            asset.price_usd,
            asset.market_cap_usd,
            asset.volume_24h_usd,
            asset.max_supply,
            asset.source_updated_at,
            uuid4(),
            asset.updated_at,
        )
        for asset in assets
    ]
    await connection.executemany(
        """
        INSERT INTO assets (asset_uid, version, symbol, name, market_cap_rank, anchor_source, anchor_source_id, source, source_id,
            agreeing, listings_total, price_usd, market_cap_usd, volume_24h_usd, max_supply, source_updated_at, fetched_at,
            tick_id, changed_by, updated_at)
        VALUES ($1, nextval('asset_versions'), $2, $3, $4, $5, $6, $5, $6, $7, 1, $8, $9, $10, $11, $12, $12, $13, $13, $14)
        """,
        rows,
    )


async def insert_quotes(connection: Any, quotes: Iterable[QuoteRow]) -> None:
    rows = [
        (
            quote.source,
            quote.source_id,
            quote.asset_uid,
            quote.asset_uid.upper(),
            quote.source_id.title(),
            quote.price_usd,
            quote.market_cap_rank,
            quote.source_updated_at,
            uuid4(),
            quote.run_id,
        )
        for quote in quotes
    ]
    await connection.executemany(
        """
        INSERT INTO quotes (source, source_id, asset_uid, symbol, name, price_usd, market_cap_rank, source_updated_at, fetched_at,
            tick_id, run_id)
        VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $8, $9, $10)
        """,
        rows,
    )


async def insert_raw_ticks(connection: Any, source: str, payloads: Iterable[str]) -> list[int]:
    return [
        await connection.fetchval(
            f"""INSERT INTO raw_{source} (tick_id, source_id, asset_uid, run_id, fetched_at, source_updated_at, payload)
                VALUES ($1, 'bitcoin', 'btc', $2, $3, $3, $4) RETURNING record_id""",  # noqa: S608 -- a test's own name
            uuid4(),
            uuid4(),
            LONG_AGO,
            payload,
        )
        for payload in payloads
    ]


async def insert_run(connection: Any, source: str, status: str, *, age: timedelta = timedelta(0), stored: int = 0) -> UUID:
    run_id = uuid4()
    at = LONG_AGO - age
    await connection.execute(
        """INSERT INTO etl_runs (run_id, source, trigger, status, shards, requested_at, started_at, finished_at, fetched,
               published, stored, last_event_at)
           VALUES ($1, $2, 'schedule', $3, '{1,2}', $4, $4, $5, $6, $6, $6, $4)""",
        run_id,
        source,
        status,
        at,
        at + timedelta(seconds=2) if status in {"succeeded", "failed", "skipped"} else None,
        stored,
    )
    return run_id


async def connect(database_url: str) -> "asyncpg.Connection[asyncpg.Record]":
    return await asyncpg.connect(database_url)


def _json(text: str) -> str:
    return '"' + text.replace("\\", "\\\\").replace('"', '\\"') + '"'
