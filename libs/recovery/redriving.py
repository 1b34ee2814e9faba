"""Re-driving and dropping dead letters: which are meant, how many at a time, and what is said of the others."""

from collections.abc import AsyncGenerator, Callable, Sequence
from contextlib import aclosing
from dataclasses import dataclass, field

from libs.contracts.dead_letters import MOST_ATTEMPTS, original_headers
from libs.kafka.errors import RecordsRefusedError
from libs.kafka.records import Record
from libs.recovery.book import Read
from libs.recovery.letters import Letter, Obstacle, Selection, State, obstacle
from libs.recovery.settling import Desk

LETTERS_AT_ONCE = 500
BYTES_AT_ONCE = 4_194_304
"""Of a transaction, unless one letter has more: far from what a transaction's time allows."""
DROPPED_AT_ONCE = 5_000


@dataclass(slots=True)
class Tally:
    """What was done. matched = done + already + repeats + cannot + left."""

    matched: int = 0
    done: int = 0
    """Re-driven, or dropped."""
    already: int = 0
    """Settled before."""
    repeats: int = 0
    """Of records that were set aside before: what becomes of the first letter is all that becomes of them."""
    cannot: dict[Obstacle, int] = field(default_factory=dict)
    left: int = 0
    """Beyond the limit."""
    hidden: int = 0
    """Offsets behind a transaction that is still open; they are not looked at."""


Tell = Callable[[Tally], None]


async def redrive(desk: Desk, selection: Selection, *, limit: int | None = None, tell: Tell = lambda _: None) -> Tally:
    """Publish the letters that are meant, and that wait, to the topics they came from, by key, with the attempt counted.

    Raises TakenOverError, KafkaUnreachableError and WedgedProducerError; what was told as done is done, and repeating the
    call goes on with the rest.
    """
    tally = Tally(hidden=desk.book.hidden)
    held: list[Read] = []
    size = 0
    async with aclosing(_meant(desk, selection, tally, limit, redriving=True)) as meant:
        async for read in meant:
            if held and (
                read.letter.partition != held[-1].letter.partition
                or len(held) == LETTERS_AT_ONCE
                or size + read.letter.size > BYTES_AT_ONCE
            ):
                await _redrive_all(desk, held, tally, tell)
                held, size = [], 0
            held.append(read)
            size += read.letter.size
    await _redrive_all(desk, held, tally, tell)
    await _settle_repeats(desk)
    return tally


async def drop(desk: Desk, selection: Selection, *, limit: int | None = None, tell: Tell = lambda _: None) -> Tally:
    """Give up the letters that are meant, and that wait. They stay in their topic until its retention takes them."""
    tally = Tally(hidden=desk.book.hidden)
    held: list[Letter] = []
    async with aclosing(_meant(desk, selection, tally, limit, redriving=False)) as meant:
        async for read in meant:
            held.append(read.letter)
            if len(held) == DROPPED_AT_ONCE:
                await _drop_all(desk, held, tally, tell)
                held = []
    await _drop_all(desk, held, tally, tell)
    await _settle_repeats(desk)
    return tally


async def _meant(
    desk: Desk, selection: Selection, tally: Tally, limit: int | None, *, redriving: bool
) -> AsyncGenerator[Read, None]:
    """Yield the letters that something is to be done about; the others are counted."""
    taken = 0
    for partition in sorted(desk.book.spans):
        async for read in desk.book.letters(desk.scanner, [partition]):
            letter, state = read.letter, desk.book.state_of(read.letter)
            if state is State.REPEAT:
                desk.note_repeat(letter)
            if not selection.takes(letter):
                continue
            tally.matched += 1
            if state is State.REPEAT:
                tally.repeats += 1
            elif state is not State.WAITING:
                tally.already += 1
            elif redriving and (what := obstacle(letter, desk.places)):
                tally.cannot[what] = tally.cannot.get(what, 0) + 1
            elif limit is not None and taken >= limit:
                tally.left += 1
            else:
                taken += 1
                yield read


async def _redrive_all(desk: Desk, held: Sequence[Read], tally: Tally, tell: Tell) -> None:
    """Re-drive the letters; when the broker refuses one, halve until it is found and left."""
    if not held:
        return
    try:
        await desk.settle([one.letter for one in held], State.REDRIVEN, [_again(one) for one in held])
    except RecordsRefusedError:
        await desk.take_back()
        if len(held) == 1:
            tally.cannot[Obstacle.REFUSED] = tally.cannot.get(Obstacle.REFUSED, 0) + 1
            return
        await _redrive_all(desk, held[: len(held) // 2], tally, tell)
        await _redrive_all(desk, held[len(held) // 2 :], tally, tell)
    else:
        tally.done += len(held)
        tell(tally)


async def _drop_all(desk: Desk, held: Sequence[Letter], tally: Tally, tell: Tell) -> None:
    await desk.settle(held, State.DROPPED)
    tally.done += len(held)
    tell(tally)


async def _settle_repeats(desk: Desk) -> None:
    """Settle the repeats whose first letter is settled, so that none looks like a first when retention has taken that."""
    for state in (State.REDRIVEN, State.DROPPED):
        await desk.settle([one for one in desk.repeats if desk.book.settled_state(one.first) is state], state)


def _again(read: Read) -> Record:
    told, record = read.letter.told, read.record
    topic = told.origin.topic if told.origin else ""  # `obstacle` has seen to that
    headers = original_headers(record.headers, attempt=min(told.attempt + 1, MOST_ATTEMPTS))
    return Record(topic, record.key, record.value, headers)
