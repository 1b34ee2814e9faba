"""Chunks of one raw topic, applied in one transaction that may be repeated without a trace."""

from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import partial
from typing import Final, NamedTuple
from uuid import UUID

import asyncpg
import structlog

from libs.domain.anomalies import move_bucket
from libs.domain.quotes import Quote, freshness
from libs.postgres.pool import Connection, Pool
from libs.postgres.writing import assets, candles, history, partitions, quotes, raw_ticks, run_progress
from libs.postgres.writing.candles import ListingHour
from libs.postgres.writing.history import Batch, History, batch_of
from libs.postgres.writing.partitions import Partition
from libs.postgres.writing.recomputing import recompute
from libs.postgres.writing.ticks import Counted, SetAside, Tick, stage

log = structlog.get_logger(__name__)

# One after another in the order given, which is rising: two writers then never wait for each other in a ring.
LOCK: Final = "SELECT pg_advisory_xact_lock($1, number) FROM unnest($2::integer[]) AS number"
LOCK_SPACE: Final = 0x6B61
"""Ours among the advisory locks of the database."""
TRIES: Final = 3
"""At a chunk whose partition of the history goes between the look and the row."""

Entry = Tick | SetAside

_outcome = partial(tuple.__new__, run_progress.Outcome)
"""Made by the tuple's own constructor: there are as many as records."""


@dataclass(frozen=True, slots=True)
class Destination:
    """Where a source's chunks go. `partition_of` tells the partition of an asset_uid, which is what writers lock."""

    source: str
    raw_table: str
    priorities: Mapping[str, int]
    partition_of: Callable[[str], int]
    history: History


class Part(NamedTuple):
    """The entries of one partition, in order of offset."""

    partition: int
    entries: Sequence[Entry]


@dataclass(frozen=True, slots=True)
class Written:
    """What a transaction changed and what is to be published for it, things left over by a writer that died among them."""

    counted: Counted
    changed: Sequence[assets.Changed] = ()
    gone: Sequence[str] = ()


class _Work(NamedTuple):
    """The parts, the ticks among them, and the times that these are of. `careful`: what seems new may have come before."""

    parts: Sequence[Part]
    ticks: Sequence[Tick]
    batch: Batch
    careful: bool = False


class PartitionGoneError(Exception):
    """A row found no partition of the history, though it has just been made, again and again: a bug, and no fault of the row."""


class _MoreLocksError(Exception):
    """A listing of the chunk was held under a uid of a partition that is not locked; begin again with that one too."""

    def __init__(self, partitions: set[int]) -> None:
        super().__init__(partitions)
        self.partitions = partitions


class _MoreRoomError(Exception):
    """An hour that is over is of a month whose partition this process does not know of; begin again with that one too."""

    def __init__(self, partitions: set[Partition]) -> None:
        super().__init__(partitions)
        self.partitions = partitions


async def write_together(pool: Pool, destination: Destination, parts: Sequence[Part]) -> Written:
    """Apply the parts, those of a partition in order, in one transaction; all of them or nothing.

    A transaction costs the same for one tick as for a hundred, so what waits together is best written together. Safe to
    repeat, and to run at the same time as another worker's: older data never overwrites newer, and a record counts once for
    its run.
    """
    ticks = [entry for part in parts for entry in part.entries if isinstance(entry, Tick)]
    uids = {tick.quote.asset_uid for tick in ticks}
    locked = {part.partition for part in parts} | set(map(destination.partition_of, uids))
    held = destination.history
    batch = batch_of([tick.quote for tick in ticks], held.edges(held.utc()))
    work = _Work(parts, ticks, batch)
    room = batch.partitions
    gone = 0
    while True:
        try:
            async with pool.acquire() as connection:
                await _make_room(connection, held, room)
                async with connection.transaction():
                    return await _apply(connection, destination, work, locked)
        except _MoreLocksError as more:
            locked |= more.partitions
        except _MoreRoomError as more:
            room |= more.partitions
        except asyncpg.UniqueViolationError as error:
            if work.careful:
                raise
            log.warning("chunk_written_again", constraint=error.constraint_name)
            work = work._replace(careful=True)
        except asyncpg.CheckViolationError as error:
            if not partitions.is_missing(error):
                raise
            held.there.clear()  # another worker has dropped what was there: their clocks or their settings differ
            gone += 1
            if gone == TRIES:
                raise PartitionGoneError(str(error)) from error


async def _make_room(connection: Connection, held: History, room: set[Partition]) -> None:
    if wanted := room - held.there:
        await partitions.ensure(connection, wanted)
        held.there.update(wanted)


async def _apply(connection: Connection, destination: Destination, work: _Work, locked: set[int]) -> Written:
    parts, ticks, batch, careful = work
    dead_lettered = sum(len(part.entries) for part in parts) - len(ticks)
    if ticks:
        await stage(connection, ticks)
    await connection.execute(LOCK, LOCK_SPACE, sorted(locked))
    if not ticks:
        await run_progress.count(connection, destination.source, list(_outcomes(parts, set(), {}, again=False)))
        return Written(Counted(0, 0, dead_lettered))
    came = _newest_of_each_content(ticks)
    again = len(came) < len(ticks)
    known = await raw_ticks.insert_new(connection, destination.raw_table, came)
    moved = await quotes.upsert_newest(connection, batch.hour)
    moved_by = moved.prices
    if missing := set(map(destination.partition_of, moved.left.values())) - locked:
        raise _MoreLocksError(missing)
    hours = [ListingHour(*came[tick_id].listing, at) for tick_id, at in moved.hours.items()]
    await _close(connection, destination.history, hours)
    new = not (careful or again or known) and _are_open(moved, batch)
    await history.keep(connection, batch, again=again, new=new)
    known -= await _restore(connection, destination.raw_table, moved_by.keys() & known, came)
    moves = {tick_id: move_bucket(was, came[tick_id].price_usd) for tick_id, was in moved_by.items() if was is not None}
    await run_progress.count(connection, destination.source, list(_outcomes(parts, known, moves, again=again)))
    recomputed = await recompute(connection, destination.priorities, [came[tick_id] for tick_id in moved_by], moved)
    stored = len(came) - len(known)
    counted = Counted(stored, len(ticks) - stored, dead_lettered)
    return await _with_unpublished(connection, Written(counted, *recomputed), list(known))


def _are_open(moved: quotes.Moved, batch: Batch) -> bool:
    """Whether all ticks are of one hour, which their listings are in now and have no candle of.

    Not of days before yesterday: such a one may be dropped at this moment, and its hours closed.
    """
    recent = batch.hour is not None and batch.hour.date() >= batch.edges.never_late
    return recent and len(moved.prices) == batch.listings and not moved.have_candle


async def _close(connection: Connection, held: History, hours: Sequence[ListingHour]) -> None:
    """Make the rows of the hours that listings have left."""
    if missing := {hour.partition for hour in hours} - held.there:
        raise _MoreRoomError(missing)
    await candles.close(connection, hours)


def _newest_of_each_content(ticks: Sequence[Tick]) -> dict[UUID, Quote]:
    """Return each tick_id with the quote that UPSERT_NEWEST takes: a content that is told again has other times."""
    came = {tick.quote.tick_id: tick.quote for tick in ticks}
    if len(came) < len(ticks):
        return {quote.tick_id: quote for quote in sorted((tick.quote for tick in ticks), key=freshness)}
    return came


async def _restore(connection: Connection, table: str, shown_again: set[UUID], came: Collection[UUID]) -> set[UUID]:
    """Keep the raw rows of contents that a listing has come back to; return what had to be stored again, just deleted as old."""
    deleted = shown_again - await raw_ticks.hold(connection, table, shown_again)
    return deleted - await raw_ticks.insert_new(connection, table, came) if deleted else set()


async def _with_unpublished(connection: Connection, written: Written, again: Sequence[UUID]) -> Written:
    """Add what a writer that died between commit and publication left unpublished: its ticks come again."""
    if not again:
        return written
    changed, gone = await assets.load_changed_by(connection, again)
    versions = {one.asset.asset_uid: one for one in [*changed, *written.changed]}
    return replace(written, changed=list(versions.values()), gone=sorted({*gone, *written.gone}))


def _outcomes(
    parts: Iterable[Part], known: Collection[UUID], moves: dict[UUID, int | None], *, again: bool
) -> Iterator[run_progress.Outcome]:
    """Tell what became of each record whose run is known; of equal ticks written together the first is the one stored.

    `moves` are taken out as they are told. `again`: there may be equal ticks; to look for them takes half of the time.
    """
    seen = set(known)
    became = "stored"
    for partition, entries in parts:
        for entry in entries:
            if isinstance(entry, SetAside):
                if entry.run_id is not None:
                    yield run_progress.Outcome(entry.run_id, partition, entry.offset, "dead_lettered")
                continue
            quote = entry.quote
            if again or known:
                became = "duplicate" if quote.tick_id in seen else "stored"
                seen.add(quote.tick_id)
            if entry.counts:
                yield _outcome((quote.run_id, partition, entry.offset, became, moves.pop(quote.tick_id, None)))
