"""The desk at which one operator settles dead letters, each once.

One transaction publishes some letters again, says in etl.settlements that they are settled, and commits the group's offsets:
all of it or nothing. It is written under one transactional id, and what is settled is read after the id was opened: whoever
had it before can write no more, and what they wrote is final. So two operators at once, or one that is killed at any moment
and begins again, re-drive no letter twice and forget none.
"""

from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field

from libs.contracts.settlements import Settlement
from libs.kafka.connection import KafkaConnection
from libs.kafka.errors import FencedProducerError
from libs.kafka.records import Record
from libs.kafka.scanning import Scanner, open_scanner
from libs.kafka.transactions import TransactionalClient, TransactionExpiredError
from libs.process.clock import Clock
from libs.recovery.book import Book, Settled, open_book, read_settled
from libs.recovery.letters import Letter, Moment, Places, State
from libs.recovery.offset_ranges import joined


class TakenOverError(Exception):
    """Somebody else re-drives or drops dead letters at this moment; they go on, and this one has stopped."""


@dataclass(slots=True)
class Repeat:
    """A letter that is settled when, and as, the first of its record is."""

    moment: Moment
    begins: int
    first: Moment


@dataclass(slots=True)
class Desk:
    """Where one operator settles letters. Without a client nothing is written: a dry run."""

    connection: KafkaConnection
    places: Places
    clock: Clock
    client: TransactionalClient | None
    book: Book
    scanner: Scanner
    stored: dict[int, Settled]
    """What etl.settlements holds, as far as this desk knows."""
    repeats: list[Repeat] = field(default_factory=list)
    _offsets: dict[int, int] = field(default_factory=dict)

    def note_repeat(self, letter: Letter) -> None:
        """Remember a repeat that is not settled itself."""
        if self.book.settled_state(letter.moment) is State.WAITING:
            self.repeats.append(Repeat(letter.moment, letter.begins, self.book.first_of(letter)))

    async def settle(self, letters: Sequence[Letter | Repeat], state: State, records: Sequence[Record] = ()) -> None:
        """Publish the records, and say that the letters are settled so, in one transaction. Raises RecordsRefusedError."""
        if self.client is None or not letters:
            return
        settled = {partition: self._with(partition, letters, state) for partition in {one.moment.partition for one in letters}}
        after = self.book.settled | settled
        offsets = {
            partition: after.get(partition, Settled()).lowest_waiting(span, self.book.last.get(partition, -1))
            for partition, span in self.book.spans.items()
        }
        async with self.client.transaction() as transaction:
            await transaction.send(records)
            await transaction.send([self._record(partition, one) for partition, one in sorted(settled.items())])
            for partition, offset in offsets.items():
                if self._offsets.get(partition) != offset:
                    await transaction.commit_offset(self.places.group, self.places.dead_letters, partition, offset)
        self.book.settled, self._offsets = after, offsets
        self.stored |= settled

    async def take_back(self) -> None:
        """Open the client again after a refusal, if nobody has settled a letter meanwhile. Raises TakenOverError."""
        if self.client is not None:
            await self.client.open()
            if await read_settled(self.connection, self.places.settlements) != self.stored:
                raise TakenOverError

    def _with(self, partition: int, letters: Sequence[Letter | Repeat], state: State) -> Settled:
        mine = [one for one in letters if one.moment.partition == partition]
        ranges = [(one.begins, one.moment.offset + 1) for one in mine]
        before = self.book.settled_in(partition)
        # Not by our clock alone: a settlement says nothing of letters that failed after it.
        moments = [self.clock.utc(), *(one.moment.failed_at for one in mine), *([before.until] if before.until else [])]
        if state is State.REDRIVEN:
            return Settled(joined(before.redriven, ranges), before.dropped, max(moments))
        return Settled(before.redriven, joined(before.dropped, ranges), max(moments))

    def _record(self, partition: int, settled: Settled) -> Record:
        told = Settlement(partition=partition, settled_at=settled.until, redriven=settled.redriven, dropped=settled.dropped)
        return Record(self.places.settlements, str(partition).encode(), told.model_dump_json().encode())


@asynccontextmanager
async def open_desk(
    connection: KafkaConnection, places: Places, clock: Clock, *, client: TransactionalClient | None
) -> AsyncIterator[Desk]:
    """Take the client's id over, and only then look at what is settled and at the letters. Raises KafkaUnreachableError."""
    async with open_scanner(connection, places.dead_letters) as scanner:
        try:
            if client is not None:
                await client.open()
            settled = await read_settled(connection, places.settlements)
            yield Desk(connection, places, clock, client, await open_book(scanner, settled), scanner, settled)
        except TransactionExpiredError:
            raise
        except FencedProducerError as error:
            raise TakenOverError from error
        finally:
            if client is not None:
                await client.close()
