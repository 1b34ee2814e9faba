"""GET /stats/dead-letters counts in Postgres what `kasparro dead-letters` finds in Kafka: the same letters, the same numbers."""

from collections import Counter
from datetime import timedelta
from typing import Any
from uuid import UUID

from libs.domain.rejections import Reason
from libs.kafka.connection import KafkaConnection
from libs.kafka.publishing import Publisher
from libs.kafka.records import Record
from libs.postgres.pool import Pool
from libs.postgres.reading.acquiring import readers_of, reading
from libs.postgres.reading.dead_letters import LettersWanted, count_letters
from libs.recovery.finding import find
from libs.recovery.letters import Places, Selection
from services.normalizer.wiring import Topics
from tests.integration.normalizer.conftest import normalizer_running
from tests.integration.recovery.desks import EVERYTHING, desk_of, dropped, letter, places_of, redriven
from tests.integration.streaming.conftest import eventually

RUN = UUID(int=9)
STATES = {"waiting": "waiting", "redriven": "redriven", "dropped": "dropped", "repeats": "repeat"}

Counts = Counter[tuple[str | None, str, str]]


async def found(connection: KafkaConnection, places: Places, selection: Selection) -> Counts:
    async with desk_of(connection, places, dry_run=True) as desk:
        letters = (await find(desk, selection, state=None, limit=10_000)).letters
    return Counter((one.told.source, one.told.error_class, state.value) for one, state in letters)


async def counted(pool: Pool, selection: Selection) -> Counts:
    wanted = LettersWanted(selection.source, selection.error_class, selection.run_id, selection.since)
    async with reading(readers_of(pool)) as connection:
        rows = await count_letters(connection, wanted)
    told = {(row["source"], row["error_class"], state): row[column] for row in rows for column, state in STATES.items()}
    return Counter({key: number for key, number in told.items() if number})


def letters_of(topics: Topics) -> list[Record]:
    """Of each state some; replays have set two of them aside again, one without a key in another partition."""
    return [
        *(letter(topics, number, key=b"%d" % number, source="csv", at=number % 3) for number in range(6)),
        *(letter(topics, number, reason=Reason.NUL_CHARACTER, run_id=RUN, at=0) for number in range(10, 15)),
        letter(topics, 2, key=b"2", source="csv", at=1),
        letter(topics, 20, key=None, at=1),
        letter(topics, 20, key=None, at=0),
        letter(topics, -1, partition=-1, source="coinpaprika", reason=Reason.MISSING_SOURCE_ID),
        Record(topics.dead_letters, b"\xff", None, [("__connect.errors.class.name", b"java.lang.Oops")]),
    ]


async def test_both_views_of_the_same_letters_give_the_same_numbers(
    connection: KafkaConnection, database_url: str, pool: Pool, publisher: Publisher, topics: Topics
) -> None:
    places = places_of(topics)
    for record in letters_of(topics):  # one by one, so that their times are in order
        await publisher.publish([record])
    await redriven(connection, places, Selection(source="csv"), limit=3)
    await dropped(connection, places, Selection(error_class="nul_character"), limit=2)
    await publisher.publish([letter(topics, 13, reason=Reason.NUL_CHARACTER, run_id=RUN, at=2)])

    async def agree() -> bool:
        """The normalizer sets aside again what was re-driven, for it is as bad as it was: those are letters too."""
        in_topic = await found(connection, places, EVERYTHING)
        return sum(in_topic.values()) == len(letters_of(topics)) + 1 + 3 and await counted(pool, EVERYTHING) == in_topic

    async with normalizer_running(connection, database_url, topics):
        await eventually(agree, "every letter is projected, and counted as it is found", 60)
    in_topic = await found(connection, places, EVERYTHING)
    assert {state for _, _, state in in_topic} == set(STATES.values())
    assert in_topic["csv", "undecodable", "redriven"] == 3
    moments: list[Any] = [row[0] for row in await pool.fetch("SELECT failed_at FROM dead_letters ORDER BY failed_at")]
    for selection in (
        Selection(source="csv"),
        Selection(error_class="nul_character"),
        Selection(run_id=RUN),
        Selection(source="coingecko", error_class="undecodable"),
        Selection(since=moments[7]),
        Selection(since=moments[-1] + timedelta(seconds=1)),
    ):
        assert await counted(pool, selection) == await found(connection, places, selection), selection
