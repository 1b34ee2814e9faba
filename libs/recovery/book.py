"""What is known of all dead letters at a moment: which record was set aside first, and what has been settled.

Nothing of a letter is held but a hash of where it came from, some 250 bytes each: a topic of any width can be looked through.
"""

from collections.abc import AsyncIterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime
from typing import NamedTuple

import structlog
from pydantic import ValidationError

from libs.contracts.dead_letters import failed_at_of, identity_of, read_headers
from libs.contracts.settlements import Settlement
from libs.kafka.connection import KafkaConnection
from libs.kafka.scanning import Scanner, Span, open_scanner
from libs.kafka.tailing import TopicRecord
from libs.recovery.letters import Letter, Moment, State
from libs.recovery.offset_ranges import Ranges, below, first_outside, holds, joined

log = structlog.get_logger(__name__)


@dataclass(frozen=True, slots=True)
class Settled:
    """What is settled of a partition; of letters that failed after `until` nothing is: their offsets are given out anew."""

    redriven: Ranges = ()
    dropped: Ranges = ()
    until: datetime | None = None

    def state_of(self, moment: Moment) -> State:
        """Return what has become of the letter, repeats aside."""
        if self.until is None or moment.failed_at > self.until:
            return State.WAITING
        if holds(self.redriven, moment.offset):
            return State.REDRIVEN
        return State.DROPPED if holds(self.dropped, moment.offset) else State.WAITING

    def without_reused(self, first_reused: int) -> "Settled":
        """Forget what is told of offsets that belong to other letters by now: the topic was made anew."""
        return replace(self, redriven=below(self.redriven, first_reused), dropped=below(self.dropped, first_reused))

    def lowest_waiting(self, span: Span, last: int) -> int:
        """Return the offset that a group commits which has dealt with everything before the first letter that waits."""
        lowest = first_outside(joined(self.redriven, self.dropped), span.start)
        return lowest if lowest <= last else span.committed


class Read(NamedTuple):
    """A letter with its bytes."""

    letter: Letter
    record: TopicRecord


@dataclass(slots=True)
class Book:
    """Every letter up to where the topic ended when it was opened."""

    spans: Mapping[int, Span]
    settled: dict[int, Settled]
    firsts: dict[bytes, Moment] = field(default_factory=dict)
    last: dict[int, int] = field(default_factory=dict)
    """Partition -> the offset of its last letter."""
    total: int = 0

    @property
    def hidden(self) -> int:
        """Offsets behind a transaction that is still open: what they hold is not for this time."""
        return sum(span.written - span.committed for span in self.spans.values())

    def first_of(self, letter: Letter) -> Moment:
        """Return the letter that decides: the first of the same record, mostly the letter itself."""
        return letter.moment if letter.identity is None else self.firsts.get(letter.identity.bytes, letter.moment)

    def state_of(self, letter: Letter) -> State:
        """Return what has become of the letter."""
        if self.first_of(letter) != letter.moment:
            return State.REPEAT
        return self.settled_state(letter.moment)

    def settled_state(self, moment: Moment) -> State:
        """Return what has been done with a letter itself, be it a repeat or not."""
        return self.settled_in(moment.partition).state_of(moment)

    def settled_in(self, partition: int) -> Settled:
        """Return what is settled of a partition."""
        return self.settled.get(partition, Settled())

    async def letters(self, scanner: Scanner, partitions: Sequence[int]) -> AsyncIterator[Read]:
        """Yield the letters of the partitions, with their bytes."""
        begins = dict.fromkeys(partitions, 0)
        wanted = {number: (self.spans[number].start, self.spans[number].committed) for number in partitions}
        async for records in scanner.records(wanted):
            for record in records:
                yield Read(_letter(record, begins=begins[record.partition]), record)
                begins[record.partition] = record.offset + 1


async def open_book(scanner: Scanner, settled: Mapping[int, Settled]) -> Book:
    """Look through all letters. Raises KafkaUnreachableError."""
    book = Book(await scanner.spans(), dict(settled))
    reused = {number: span.written for number, span in book.spans.items()}
    async for letter, _ in book.letters(scanner, sorted(book.spans)):
        book.total += 1
        book.last[letter.partition] = letter.offset
        if letter.identity is not None:
            first = book.firsts.setdefault(letter.identity.bytes, letter.moment)
            book.firsts[letter.identity.bytes] = min(first, letter.moment)
        told = book.settled_in(letter.partition)
        if told.until is not None and letter.failed_at > told.until:
            reused[letter.partition] = min(reused[letter.partition], letter.offset)
    book.settled = {number: told.without_reused(reused.get(number, 0)) for number, told in settled.items()}
    return book


async def read_settled(connection: KafkaConnection, topic: str) -> dict[int, Settled]:
    """Return what is settled, by partition of the dead letters: the newest settlement of each.

    Waits for a transaction that is open there, so that nothing that was settled before is missed.
    """
    newest: dict[int, Settled] = {}
    async with open_scanner(connection, topic) as scanner:
        spans = await scanner.spans()
        async for records in scanner.records({number: (span.start, span.written) for number, span in spans.items()}):
            for record in records:
                if (settlement := _settlement(record)) is not None:
                    newest[settlement.partition] = Settled(settlement.redriven, settlement.dropped, settlement.settled_at)
    return newest


def _letter(record: TopicRecord, *, begins: int) -> Letter:
    told = read_headers(record.headers)
    moment = Moment(failed_at_of(record.timestamp_ms), record.partition, record.offset)
    return Letter(moment, begins, told, identity_of(told, record.key, record.value), len(record.value or b""))


def _settlement(record: TopicRecord) -> Settlement | None:
    """Pass over what is none: only a transaction of ours settles a letter."""
    if record.value is None:
        return None
    try:
        return Settlement.model_validate_json(record.value)
    except ValidationError as error:
        what = error.errors(include_url=False)[0]["type"]
        log.error("settlement_undecodable", topic=record.topic, offset=record.offset, error=what)  # noqa: TRY400 poison, no bug
        return None
