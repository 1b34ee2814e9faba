"""A session that is cut while rows are on their way in is an outage, at whatever moment, and is known for one at once."""

import asyncio

import asyncpg
import pytest

from libs.postgres.errors import is_outage
from libs.postgres.pool import Pool
from libs.postgres.writing.incoming import Incoming

ROWS = Incoming("rows", [("words", "text")])
MANY = [("x" * 500,)] * 20_000
"""More than the buffers of the sockets hold, so that the sender waits for room in the middle of it."""
SOON_SECONDS = 10
CUT = (asyncpg.PostgresError, asyncpg.InterfaceError, asyncpg.InternalClientError, OSError)


async def cut(pool: Pool, session: int, *, after: float) -> None:
    await asyncio.sleep(after)
    await pool.execute("SELECT pg_terminate_backend($1)", session)


async def test_a_session_cut_in_the_middle_of_a_copy_is_an_outage(pool: Pool) -> None:
    for number in range(40):
        async with asyncio.timeout(SOON_SECONDS):
            with pytest.raises(CUT) as error:
                await stage_and_be_cut(pool, after=number / 4_000)
        assert is_outage(error.value), repr(error.value)


async def stage_and_be_cut(pool: Pool, *, after: float) -> None:
    async with pool.acquire() as connection, connection.transaction():
        cutting = asyncio.create_task(cut(pool, connection.get_server_pid(), after=after))
        try:
            while True:
                await ROWS.stage(connection, MANY)
        finally:
            await cutting
