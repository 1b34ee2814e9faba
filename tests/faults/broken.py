"""Run a service that has a bug: `python -m tests.faults.broken --bug NAME [--die-at POINT --nth N] services.normalizer`.

What the suite says of the services is worth as much as what it says of these. Each bug is one that somebody could write.
"""

import argparse
import asyncio
import runpy
import sys
from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from typing import Any

from libs.postgres.writing.ticks import Tick
from libs.producing.writing import Writing
from tests.faults.doomed import POINTS, doom, place_of

SLOW_SECONDS = 0.3
"""For each chunk, where a bug shows in the moment between two steps only."""
IMPATIENT_SECONDS = 1.0


def put(module: str, path: str, make: Callable[[Any], Any]) -> None:
    """Put what `make` makes of a function, or of a statement, in its place."""
    owner, attribute = place_of(module, path)
    setattr(owner, attribute, make(getattr(owner, attribute)))


def acknowledge_before_storing() -> None:
    def bug(original: Any) -> Any:
        async def unacknowledged(self: Any) -> AsyncIterator[Any]:
            async for chunk in original(self):
                self.acknowledge(chunk)
                await asyncio.sleep(SLOW_SECONDS)
                yield chunk

        return unacknowledged

    put("libs.streaming.agents", "Chunks.unacknowledged", bug)


def forget_what_a_dead_worker_owed() -> None:
    async def as_it_is(_: Any, written: Any, __: Any) -> Any:
        return written

    put("libs.postgres.writing.chunks", "_with_unpublished", lambda _: as_it_is)


def let_the_last_one_win() -> None:
    put("libs.postgres.writing.quotes", "UPSERT_NEWEST", lambda sql: _cut(sql, "WHERE (held.source_updated_at", "RETURNING"))


def swallow_poison() -> None:
    async def nothing(*_: Any) -> None:
        """Nobody will know."""

    put("services.normalizer.ticks", "_set_aside", lambda _: nothing)


def dead_letter_an_outage() -> None:
    def bug(original: Any) -> Any:
        async def write(reads: Sequence[Any], publisher: Any) -> Any:
            from services.normalizer import reading, ticks  # a bug of the producers runs where there is no normalizer

            try:
                async with asyncio.timeout(IMPATIENT_SECONDS):
                    return await original(reads, publisher)
            except TimeoutError as error:
                aside = []
                for read in reads:
                    rejected = [ticks._refused(entry, error, read.chunk) for entry in read.entries if isinstance(entry, Tick)]
                    await ticks._set_aside(rejected, read.chunk, read.inlet, publisher.outlets)
                    aside.append(read._replace(entries=[reading.set_aside(one) for one in rejected]))
                return await original(aside, publisher)

        return write

    put("services.normalizer.ticks", "_write_together", bug)


def count_again_what_comes_again() -> None:
    def bug(sql: str) -> str:
        counted = "held.through_offset >= incoming.first_offset"
        assert counted in sql, f"{counted} is no longer in the statement"
        return sql.replace(counted, "false")

    put("libs.postgres.writing.run_progress", "COUNT", bug)


def end_runs_before_their_ticks_are_applied() -> None:
    def slow(original: Any) -> Any:
        async def write(*what: Any) -> Any:
            await asyncio.sleep(SLOW_SECONDS)
            return await original(*what)

        return write

    put("services.normalizer.ticks", "_write", slow)
    put("services.normalizer.runs", "RunEnds._is_applied", lambda _: lambda *__: True)


def publish_what_is_published() -> None:
    put("libs.producing.published", "Published.lacking", lambda _: lambda _self, answer: answer)


def ask_without_counting() -> None:
    async def admit(_: Any) -> None:
        """Go ahead."""

    put("libs.producing.quota", "QuotaPermit.admit", lambda _: admit)


def commit_the_offset_in_a_transaction_of_its_own() -> None:
    async def nothing() -> Writing:
        return Writing()

    def bug(original: Any) -> Any:
        async def write(self: Any, compose: Any, *, command: Any = None) -> Any:
            written = await original(self, compose)
            return written if command is None else await original(self, nothing, command=command)

        return write

    put("libs.producing.writing", "PartitionWriter.write", bug)


def _cut(statement: str, start: str, end: str | None = None) -> str:
    """Leave out of a statement what begins at `start`, up to `end`."""
    before, found, after = statement.partition(start)
    assert found, f"{start} is no longer in the statement"
    return before if end is None else before + end + after.partition(end)[2]


BUGS: Mapping[str, Callable[[], None]] = {
    bug.__name__: bug
    for bug in (
        acknowledge_before_storing,
        forget_what_a_dead_worker_owed,
        let_the_last_one_win,
        swallow_poison,
        dead_letter_an_outage,
        count_again_what_comes_again,
        end_runs_before_their_ticks_are_applied,
        publish_what_is_published,
        ask_without_counting,
        commit_the_offset_in_a_transaction_of_its_own,
    )
}


def main() -> None:
    """Break it, doom it if asked, then be the service."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--bug", choices=BUGS, required=True)
    parser.add_argument("--die-at", choices=POINTS)
    parser.add_argument("--nth", type=int, default=1)
    parser.add_argument("module")
    asked = parser.parse_args()
    BUGS[asked.bug]()
    if asked.die_at:
        doom(asked.die_at, asked.nth)
    sys.argv = [asked.module]
    runpy.run_module(asked.module, run_name="__main__", alter_sys=True)


if __name__ == "__main__":
    main()
