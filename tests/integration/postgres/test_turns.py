"""Who asks first is answered first, however many ask."""

import asyncio

from libs.postgres.pool import open_pool
from libs.postgres.reading.acquiring import readers_of, reading

CLIENTS = 24
QUESTIONS = 60


async def test_no_client_of_many_waits_again_and_again_as_the_last(database_url: str) -> None:
    async with open_pool(database_url, application="test", connections=3, statement_seconds=20, read_only=True) as pool:
        readers, answered = readers_of(pool), [0] * CLIENTS

        async def ask_again(client: int) -> list[int]:
            while answered[client] < QUESTIONS:
                async with reading(readers) as connection:
                    await connection.fetchval("SELECT 1")
                answered[client] += 1
            return list(answered)

        clients = [asyncio.create_task(ask_again(client)) for client in range(CLIENTS)]
        when_the_first_was_done = await next(asyncio.as_completed(clients))
        await asyncio.gather(*clients)
    assert min(when_the_first_was_done) > QUESTIONS / 2, "unfair, some have not had a single answer by then"
