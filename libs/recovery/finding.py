"""Finding dead letters: the newest that fit, and one with its bytes."""

import heapq
from dataclasses import dataclass
from itertools import count

from libs.kafka.connection import KafkaConnection
from libs.kafka.scanning import open_scanner
from libs.kafka.tailing import TopicRecord
from libs.recovery.letters import Letter, Moment, Places, Selection, State
from libs.recovery.settling import Desk


@dataclass(frozen=True, slots=True)
class Found:
    """The newest letters that fit, newest first, and how many fit in all."""

    letters: list[tuple[Letter, State]]
    total: int


async def find(desk: Desk, selection: Selection, *, state: State | None, limit: int) -> Found:
    """Look through all letters; hold no more than are asked for. Raises KafkaUnreachableError."""
    total = 0
    newest: list[tuple[Moment, int, Letter, State]] = []
    order = count()
    async for letter, _ in desk.book.letters(desk.scanner, sorted(desk.book.spans)):
        found = desk.book.state_of(letter)
        if state not in {None, found} or not selection.takes(letter):
            continue
        total += 1
        entry = letter.moment, next(order), letter, found
        if len(newest) < limit:
            heapq.heappush(newest, entry)
        elif newest:
            heapq.heappushpop(newest, entry)
    return Found([(letter, found) for _, _, letter, found in sorted(newest, reverse=True)], total)


async def fetch_record(connection: KafkaConnection, places: Places, partition: int, offset: int) -> TopicRecord | None:
    """Return a dead letter with its bytes; None when no record is at that place. Raises KafkaUnreachableError."""
    async with open_scanner(connection, places.dead_letters) as scanner:
        span = (await scanner.spans()).get(partition)
        if span is None or not span.start <= offset < span.committed:
            return None
        async for records in scanner.records({partition: (offset, offset + 1)}):
            for record in records:
                return record
    return None
