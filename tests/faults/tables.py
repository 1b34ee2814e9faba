"""What Postgres holds, read in one snapshot."""

import json
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal
from typing import Any, NamedTuple
from uuid import UUID

import asyncpg

from libs.domain.identity import Listing
from libs.domain.numbers import number_of
from libs.domain.quotes import Quote

RAW_SOURCES = ("coingecko", "coinpaprika", "csv")
CONNECT_SECONDS = 15.0


Tick = tuple[Listing, datetime, UUID]
"""A listing, an event time, a content."""


class HeldTick(NamedTuple):
    """A row of the history: its price, and when it was fetched first and last."""

    price: Decimal | None
    first_fetched_at: datetime
    fetched_at: datetime


class HeldCandle(NamedTuple):
    """A candle of an hour."""

    open: Decimal
    high: Decimal
    low: Decimal
    close: Decimal
    ticks: int


@dataclass(frozen=True, slots=True)
class Tables:
    """The tables that ticks and runs make."""

    raw: Mapping[str, Mapping[UUID, int]]
    """Source -> tick_id -> record_id, which grows with the order of insertion."""
    raw_rows: int
    quotes: Mapping[Listing, Quote]
    assets: Mapping[str, Mapping[str, Any]]
    """By asset_uid, with the names of the message that carries it."""
    runs: Mapping[UUID, Mapping[str, Any]]
    counted: Mapping[tuple[UUID, str, int], int]
    """Run, source and partition -> the records that were counted there."""
    outcomes: Counter[str]
    history: Mapping[Tick, HeldTick]
    late: frozenset[Tick]
    """Those whose day is past keeping."""
    candles: Mapping[tuple[Listing, datetime], HeldCandle]
    """Rows, and open hours folded from their ticks."""
    hours: frozenset[tuple[Listing, datetime]]
    """Those that are rows."""


async def read_tables(database_url: str) -> Tables:
    """Read everything in one transaction."""
    connection = await asyncpg.connect(database_url, timeout=CONNECT_SECONDS, command_timeout=60)
    try:
        async with connection.transaction(isolation="repeatable_read", readonly=True):
            return await _read(connection)
    finally:
        await connection.close(timeout=5)


async def newest_record_ids(connection: "asyncpg.Connection[asyncpg.Record]") -> dict[str, int]:
    """Source -> the largest record_id that a reader sees."""
    newest = "SELECT coalesce(max(record_id), 0) FROM raw_{0}"
    columns = ", ".join(f"({newest.format(source)}) AS {source}" for source in RAW_SOURCES)
    row = await connection.fetchrow(f"SELECT {columns}")
    assert row is not None
    return dict(row)


async def _read(connection: "asyncpg.Connection[asyncpg.Record]") -> Tables:
    raw: dict[str, Mapping[UUID, int]] = {}
    rows = 0
    for source in RAW_SOURCES:
        held = await connection.fetch(f"SELECT tick_id, record_id FROM raw_{source}")  # noqa: S608 - our own constants
        raw[source] = {row["tick_id"]: row["record_id"] for row in held}
        rows += len(held)
    quotes = [Quote._make(map(digits, row)) for row in await connection.fetch(f"SELECT {', '.join(Quote._fields)} FROM quotes")]  # noqa: S608
    assets = {row["asset_uid"]: _message_of(dict(row)) for row in await connection.fetch("SELECT * FROM assets")}
    runs = {row["run_id"]: dict(row) for row in await connection.fetch("SELECT * FROM etl_runs")}
    progress = await connection.fetch("SELECT * FROM etl_run_progress")
    counted = {
        (row["run_id"], row["source"], row["partition"]): row["stored"] + row["duplicate"] + row["dead_lettered"]
        for row in progress
    }
    outcomes = Counter({name: sum(row[name] for row in progress) for name in ("stored", "duplicate", "dead_lettered")})
    history, late, candles = [
        await connection.fetch(f"SELECT * FROM {table}")  # noqa: S608 - our own constants
        for table in ("quote_history", "late_ticks", "candles_1h_all")
    ]
    hours = await connection.fetch("SELECT source, source_id, started_at FROM candles_1h")
    return Tables(
        *(raw, rows, {quote.listing: quote for quote in quotes}, assets, runs, counted, outcomes),
        history={_tick(row): HeldTick(row["price_usd"], row["first_fetched_at"], row["fetched_at"]) for row in history},
        late=frozenset(map(_tick, late)),
        candles={
            (Listing(row["source"], row["source_id"]), row["started_at"]): HeldCandle(*(row[name] for name in HeldCandle._fields))
            for row in candles
        },
        hours=frozenset((Listing(row["source"], row["source_id"]), row["started_at"]) for row in hours),
    )


def _tick(row: Any) -> Tick:
    return Listing(row["source"], row["source_id"]), row["event_time"], row["tick_id"]


def _message_of(row: Mapping[str, Any]) -> dict[str, Any]:
    message = dict(row)
    message["anchor"] = Listing(message.pop("anchor_source"), message.pop("anchor_source_id"))
    message["taken"] = Listing(message.pop("source"), message.pop("source_id"))
    message["agreeing"] = _listings(json.loads(message["agreeing"]))
    message["warnings"] = tuple(message["warnings"])
    for ours in ("changed_by", "updated_at"):
        del message[ours]
    return message


def _listings(held: Sequence[Mapping[str, str]]) -> tuple[Listing, ...]:
    return tuple(Listing(each["source"], each["source_id"]) for each in held)


def digits(value: Any) -> Any:
    """Return a NUMERIC as the domain writes it, anything else as it is."""
    return number_of(value) if isinstance(value, Decimal) else value
