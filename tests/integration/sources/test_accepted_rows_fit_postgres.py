"""What identify and quote_of accept, Postgres takes: the payload as JSONB, the values in the columns of quotes."""

import json
from collections.abc import Iterator
from typing import Any

import pytest

from libs.domain.quotes import Quote
from libs.postgres.writing.sessions import open_writing_pool
from libs.sources.catalogue import SOURCES
from tests.unit.sources.test_poison_rows import ROWS, paths_of, poisoned
from tests.unit.sources.ticks import quote_of_row

POISON: list[Any] = [
    None,
    True,
    0,
    -0.0,
    1e300,
    1e308,
    -1e-300,
    5e-324,
    10**299,
    10**4000,
    2**31,
    "",
    "1e300",
    "1e-300",
    "1e999999",
    "NaN",
    "Infinity",
    "1" * 900,
    "0." + "1" * 900,
    "x" * 3000,
    "a\x00b",
    "\\u0000",
    "\x01\x1b\x7f",
    "\N{ROCKET}" * 300,
    "9999-12-31T23:59:59-14:00",
    "2009-01-01T00:00:00+14:00",
    "2199-12-31",
    {"deep": [[[["x"]]]]},
    [float(f"1e{place}") for place in range(-300, 301, 100)],
]
INSERT = (
    f"INSERT INTO quotes VALUES ({', '.join(f'${place}' for place in range(1, len(Quote._fields) + 1))}) ON CONFLICT DO NOTHING"  # noqa: S608 - only numbered places
)


def accepted(name: str) -> Iterator[tuple[bytes, Quote]]:
    for path in [*paths_of(ROWS[name]), ("new_field",)]:
        for value in POISON:
            payload = poisoned(name, path, value)
            outcome = quote_of_row(SOURCES[name], payload)
            if isinstance(outcome, Quote):
                yield payload, outcome


@pytest.mark.parametrize("name", list(ROWS))
async def test_accepted_rows_fit_postgres(name: str, database_url: str) -> None:
    stored = 0
    async with (
        open_writing_pool(database_url, application="test", connections=1, statement_seconds=10) as pool,
        pool.acquire() as connection,
    ):
        for payload, quote in accepted(name):
            kept = await connection.fetchval("SELECT $1::jsonb::text", payload.decode())
            assert set(json.loads(kept)) == set(json.loads(payload))
            await connection.execute(INSERT, *quote)
            stored += 1
    assert stored > 40
