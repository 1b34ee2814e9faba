"""Rows on their way in, in a table of the session's own, from where one statement a table takes them.

COPY in binary costs our process half of what arrays cost it, and Postgres no more (measured: 17 against 34 microseconds a tick,
raw row and quote written). The tables empty themselves at the end of each transaction, and cost the log nothing.
"""

import asyncio
from collections.abc import Iterable, Sequence
from contextlib import suppress
from dataclasses import dataclass
from typing import Any, Final

import asyncpg

from libs.postgres.pool import Connection

COPY_SECONDS: Final = 60.0
"""Longest that rows may take to cross: some hundred times what the largest chunk needs."""


@dataclass(frozen=True, slots=True)
class Incoming:
    """A table for rows of one kind. `columns` are its columns with their types, in the order of a row's values.

    Numbers cross the wire as text: Postgres reads it faster than asyncpg makes their binary form.
    """

    table: str
    columns: Sequence[tuple[str, str]]

    @property
    def create_table(self) -> str:
        """The statement, for `open_writing_pool`; the table survives the transaction, its rows do not."""
        columns = ", ".join(f"{name} {type_}" for name, type_ in self.columns)
        return f"CREATE TEMPORARY TABLE {self.table} ({columns}) ON COMMIT DELETE ROWS"

    async def stage(self, connection: Connection, rows: Iterable[tuple[Any, ...]]) -> None:
        """Put the rows where the transaction's other statements find them."""
        await copy_rows(connection, self.table, [name for name, _ in self.columns], rows)


async def copy_rows(connection: Connection, table: str, columns: Sequence[str], rows: Iterable[tuple[Any, ...]]) -> None:
    """COPY the rows in. Raises TimeoutError when the connection is cut meanwhile, and when it takes too long.

    Left alone, asyncpg (0.31) would wait for ever: for room to write, which a connection that is gone does not tell of, and
    which no timeout of the pool's bounds.
    """
    async with asyncio.timeout(COPY_SECONDS) as limit:

        def end_now(_: object) -> None:
            limit.reschedule(asyncio.get_running_loop().time())

        connection.add_termination_listener(end_now)
        try:
            await connection.copy_records_to_table(table, records=rows, columns=columns)
        finally:
            with suppress(asyncpg.InterfaceError):  # it has left the pool: nobody will listen
                connection.remove_termination_listener(end_now)
