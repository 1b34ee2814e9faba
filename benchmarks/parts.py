"""The parts of the benchmark, and what each is measured with."""

from collections.abc import AsyncIterator, Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import Final

from benchmarks import (
    answering,
    constants,
    freshness,
    growth,
    history,
    ingest,
    loss,
    paging,
    polling,
    scaling,
    streaming,
    upserting,
)
from benchmarks.contenders import CONTENDERS, SERIAL, WHOLE, Contender
from benchmarks.ground import Ground, ground
from benchmarks.report import Section, say
from benchmarks.ticks import Workload, publish


class Part(StrEnum):
    """What is measured."""

    TICKS = "ticks"
    LOSS = "loss"
    QUOTES = "quotes"
    ANSWERS = "answers"
    PRODUCER = "producer"
    FRESHNESS = "freshness"
    PAGING = "paging"
    HISTORY = "history"
    GROWTH = "growth"
    SCALING = "scaling"
    STREAM = "stream"
    CONSTANTS = "constants"


@dataclass(frozen=True, slots=True)
class Asked:
    """What the command line says; `only` are beginnings of contenders' names, none for all."""

    only: Sequence[str]
    work: Workload
    polled: int
    held: int
    months: int
    rates: Sequence[int]
    seconds: float
    rounds: int
    chunks: Sequence[int]
    sizes: growth.Sizes
    replicas: Sequence[int]
    clients: int
    changes: int

    def among(self, contenders: Sequence[Contender], always: Contender) -> list[Contender]:
        """Return those that are wanted, and the one that the others are compared with."""
        return [one for one in contenders if one is always or not self.only or one.name.startswith(tuple(self.only))]


async def measure(parts: Sequence[Part], asked: Asked) -> AsyncIterator[Section]:
    """Measure the parts; those that are about the same ticks on one broker and database, each other one on its own."""
    if wanted := [part for part in parts if part in _OF_THE_SAME_TICKS]:
        async for section in _of_the_same_ticks(wanted, asked):
            yield section
    for part in parts:
        if part in _BY_ITSELF:
            async with ground() as ground_:
                yield await _BY_ITSELF[part](ground_, asked)
        elif part is Part.GROWTH:  # which takes a new one for each backlog
            yield await growth.compare(asked.sizes, asked.work, chunk_records=asked.chunks[0])


_OF_THE_SAME_TICKS: Final = (Part.TICKS, Part.LOSS, Part.ANSWERS)


async def _of_the_same_ticks(parts: Sequence[Part], asked: Asked) -> AsyncIterator[Section]:
    contenders, work, rounds = asked.among(CONTENDERS, SERIAL), asked.work, asked.rounds
    async with ground() as ground_:
        newest = await publish(ground_.connection, work)
        say(f"published {work.ticks:,} ticks of {work.listings:,} listings")
        if Part.TICKS in parts:
            yield await ingest.compare(ground_, contenders, work, newest, rounds=rounds, chunks=asked.chunks)
        if Part.LOSS in parts:
            yield await loss.compare(ground_, contenders, work, newest, rounds=rounds, chunk_records=asked.chunks[0])
        if Part.ANSWERS in parts:
            await ingest.measure(ground_, WHOLE, work, newest, chunk_records=asked.chunks[0])  # which fills the tables
            yield await answering.compare(ground_, rounds)


async def _quotes(ground: Ground, asked: Asked) -> Section:
    contenders = asked.among(upserting.CONTENDERS, upserting.LOOP)
    return await upserting.compare(ground, contenders, asked.work, rounds=asked.rounds, chunks=asked.chunks)


_BY_ITSELF: Final[Mapping[Part, Callable[[Ground, Asked], Awaitable[Section]]]] = {
    Part.QUOTES: _quotes,
    Part.PRODUCER: lambda ground, asked: polling.compare(ground, asked.polled, asked.rounds),
    Part.FRESHNESS: lambda ground, asked: freshness.measure(ground, asked.work.listings, asked.rates, asked.seconds),
    Part.PAGING: lambda ground, asked: paging.compare(ground, asked.work.listings, asked.work.ticks, asked.rounds),
    Part.HISTORY: lambda ground, asked: history.compare(ground, asked.held, asked.months, asked.rounds),
    Part.SCALING: lambda ground, asked: scaling.compare(ground, asked.work, asked.polled, asked.replicas),
    Part.STREAM: lambda ground, asked: streaming.measure(
        ground, asked.work.listings, asked.clients, asked.changes, asked.seconds
    ),
    Part.CONSTANTS: lambda ground, asked: constants.measure(ground, asked.work, asked.polled),
}
