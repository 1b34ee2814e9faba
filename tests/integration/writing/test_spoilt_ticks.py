"""Whatever the normalizer's reading lets through is stored, or refused alone: every field of a tick spoilt in every way."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import asyncpg
import pytest

from libs.postgres.errors import is_refusal
from libs.postgres.pool import Pool
from libs.postgres.writing.chunks import Destination, Entry
from libs.postgres.writing.ticks import Counted
from libs.sources.catalogue import PRIORITIES, SOURCES
from services.normalizer.reading import read_chunk
from tests.faults.spoilt import every_field_spoilt, made, records
from tests.integration.writing.conftest import START, history, place_of, write_chunk


@dataclass(frozen=True)
class Fetched:
    """A record as the chunk transport hands it on."""

    offset: int
    key: bytes | None
    value: bytes | None
    headers: Sequence[tuple[str, Any]]
    timestamp: int = int(START.timestamp() * 1000)


async def written(pool: Pool, destination: Destination, entries: Sequence[Entry]) -> list[Counted]:
    """Write by halves what is refused, as the normalizer does; a tick that is refused alone is left out."""
    try:
        return [(await write_chunk(pool, destination, 0, entries)).counted]
    except asyncpg.PostgresError as error:
        if not is_refusal(error):
            raise
        if len(entries) == 1:
            return []
    half = len(entries) // 2
    return await written(pool, destination, entries[:half]) + await written(pool, destination, entries[half:])


@pytest.mark.parametrize("name", ["coingecko", "coinpaprika"])
async def test_spoilt_ticks_are_set_aside_or_stored_and_spare_their_chunk(name: str, pool: Pool) -> None:
    spoilt = [*every_field_spoilt(name), *made(records(name), 50, from_seed=4)]
    fetched = [Fetched(offset, one.key, one.value, one.headers) for offset, one in enumerate(spoilt)]
    reading = read_chunk(SOURCES[name], fetched)
    counts = await written(pool, Destination(name, f"raw_{name}", PRIORITIES, place_of, history()), reading.entries)
    stored = sum(counted.stored for counted in counts)
    kept = stored + sum(counted.duplicate for counted in counts)
    refused = len(spoilt) - len(reading.rejected) - kept
    assert sum(counted.dead_lettered for counted in counts) == len(reading.rejected) > len(spoilt) // 2
    assert await pool.fetchval(f"SELECT count(*) FROM raw_{name}") == stored > len(spoilt) // 20  # noqa: S608 - the parameter
    assert 0 < refused < 5  # numbers beyond NUMERIC in fields that nobody reads
