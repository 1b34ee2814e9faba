"""Reading the raw rows of a source. The table's name comes from the catalogue of sources, never from a request."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from libs.postgres.pool import Connection
from libs.postgres.reading.rows import Row
from libs.sources.catalogue import SOURCES

EXACT_UP_TO = 50_000
"""Rows that are counted one by one; more are estimated from the planner's statistics, because counting takes seconds."""

_COLUMNS = "record_id, tick_id, source_id, asset_uid, run_id, fetched_at, source_updated_at, payload"


@dataclass(frozen=True, slots=True)
class RawStatements:
    """The statements on one source's table."""

    page: str
    one: str
    count: str
    estimate: str


def statements_on(table: str) -> RawStatements:
    """Fill in the name of a table of our own."""
    return RawStatements(
        page=f"""
            SELECT {_COLUMNS} FROM {table}
            WHERE record_id < $1
            ORDER BY record_id DESC LIMIT $2 OFFSET $3""",  # noqa: S608 -- the table's name is ours
        one=f"SELECT {_COLUMNS} FROM {table} WHERE record_id = $1",  # noqa: S608 -- the table's name is ours
        count=f"SELECT count(*) FROM (SELECT FROM {table} LIMIT {EXACT_UP_TO + 1}) AS counted",  # noqa: S608 -- the same
        estimate=f"SELECT greatest(reltuples::bigint, {EXACT_UP_TO + 1}) FROM pg_class WHERE oid = '{table}'::regclass",  # noqa: S608 -- the same
    )


_STATEMENTS: Mapping[str, RawStatements] = {source.name: statements_on(source.raw_table) for source in SOURCES.values()}


async def load_raw_ticks(connection: Connection, source: str, *, before: int, limit: int, offset: int = 0) -> Sequence[Row]:
    """Return the newest rows with a record_id below `before`, newest first; `payload` is JSON text."""
    return await connection.fetch(_STATEMENTS[source].page, before, limit, offset)


async def load_raw_tick(connection: Connection, source: str, record_id: int) -> Row | None:
    """Return one row; `payload` is JSON text."""
    return await connection.fetchrow(_STATEMENTS[source].one, record_id)


async def count_raw_ticks(connection: Connection, source: str) -> tuple[int, bool]:
    """Return the number of rows and whether it is an estimate."""
    statements = _STATEMENTS[source]
    counted = int(await connection.fetchval(statements.count))
    if counted <= EXACT_UP_TO:
        return counted, False
    return int(await connection.fetchval(statements.estimate)), True
