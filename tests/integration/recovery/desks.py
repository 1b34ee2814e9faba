"""Letters made by hand, and desks to settle them at."""

from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from uuid import UUID

from libs.contracts.dead_letters import Origin, dead_letter_headers
from libs.domain.rejections import Reason, Rejection
from libs.kafka.connection import KafkaConnection
from libs.kafka.records import Record
from libs.kafka.tailing import TopicRecord, read_to_end
from libs.kafka.transactions import TransactionalClient
from libs.process.clock import SystemClock
from libs.recovery.letters import Places, Selection, State
from libs.recovery.redriving import Tally, drop, redrive
from libs.recovery.settling import Desk, open_desk
from services.normalizer.wiring import Topics

EVERYTHING = Selection()


def places_of(topics: Topics) -> Places:
    return Places(
        dead_letters=topics.dead_letters,
        settlements=topics.settlements,
        takes_back=frozenset({*topics.raw.values(), topics.runs}),
        commands=frozenset({f"{topics.runs}-commands"}),
        group=f"{topics.group}-letters",
        transactional_id=f"{topics.group}-letters",
    )


def letter(
    topics: Topics,
    offset: int,
    *,
    key: bytes | None = b"key",
    value: bytes | None = b"value",
    topic: str | None = None,
    partition: int = 0,
    source: str = "coingecko",
    reason: Reason = Reason.UNDECODABLE,
    run_id: UUID | None = None,
    attempt: int = 1,
    original: Sequence[tuple[str, bytes]] = (),
    at: int | None = None,
) -> Record:
    """A dead letter, as the normalizer writes one, of the record at `offset`; `at`: in which partition it shall be."""
    headers = dead_letter_headers(
        Rejection(reason, "made by hand"),
        Origin(topic or topics.raw["coingecko"], partition, offset),
        stage="normalizer",
        source=source,
        run_id=run_id,
        attempt=attempt,
        original=original,
    )
    return Record(topics.dead_letters, key, value, headers, partition=at)


@asynccontextmanager
async def desk_of(connection: KafkaConnection, places: Places, *, dry_run: bool = False) -> AsyncIterator[Desk]:
    client = None if dry_run else TransactionalClient(connection, places.transactional_id)
    async with open_desk(connection, places, SystemClock(), client=client) as desk:
        yield desk


async def redriven(
    connection: KafkaConnection,
    places: Places,
    selection: Selection = EVERYTHING,
    *,
    limit: int | None = None,
    dry_run: bool = False,
) -> Tally:
    async with desk_of(connection, places, dry_run=dry_run) as desk:
        return await redrive(desk, selection, limit=limit)


async def dropped(
    connection: KafkaConnection, places: Places, selection: Selection = EVERYTHING, *, limit: int | None = None
) -> Tally:
    async with desk_of(connection, places) as desk:
        return await drop(desk, selection, limit=limit)


async def states(connection: KafkaConnection, places: Places) -> dict[tuple[int, int], State]:
    """What has become of each letter, as an operator sees it."""
    async with desk_of(connection, places, dry_run=True) as desk:
        found = desk.book.letters(desk.scanner, sorted(desk.book.spans))
        return {(letter.partition, letter.offset): desk.book.state_of(letter) async for letter, _ in found}


async def published(connection: KafkaConnection, topics: Topics) -> list[TopicRecord]:
    """What readers of the raw topic of coingecko see."""
    return await read_to_end(connection, topics.raw["coingecko"])
