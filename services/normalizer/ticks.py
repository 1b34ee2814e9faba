"""The agent of the raw topics: store chunks, publish what changed, then acknowledge. In any other order something is lost."""

from asyncio import Queue, TaskGroup
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from contextlib import AbstractContextManager
from dataclasses import replace
from typing import Final, NamedTuple
from uuid import UUID

import structlog
from structlog.contextvars import bound_contextvars

from libs.domain.rejections import Reason, Rejection
from libs.postgres import errors as postgres_errors
from libs.postgres.writing.chunks import Entry, Part, Written, write_together
from libs.postgres.writing.ticks import Counted, Tick
from libs.streaming.agents import Chunks
from libs.streaming.chunks import Chunk
from services.normalizer.inlets import Inlet
from services.normalizer.lanes import Lane, Most, Read, runs_in
from services.normalizer.measures import Measures
from services.normalizer.outlets import Outlets
from services.normalizer.publishing import AssetPublisher
from services.normalizer.reading import Rejected, dead_letter, read_in_turns, set_aside
from services.normalizer.spans import Between, Work, tell_spans
from services.normalizer.traces import traces_in, traces_of

log = structlog.get_logger(__name__)

STAGE: Final = "normalizer"
LANES: Final = 2
"""Transactions at once. Chunks of one partition number share a lane, so that each partition's are stored in order."""
REJECTIONS_TO_ALARM: Final = 100
"""Fewer are bad luck; more than these, and more than half of a chunk, are a change at the provider or a bug of ours."""


RUNS_NAMED: Final = 5
"""In a line about records of several."""


class _Applied(NamedTuple):
    """Chunks that the database has."""

    reads: Sequence[Read]
    written: Sequence[Written]
    stored: Between


async def normalize(chunks: Chunks, inlets: Mapping[str, Inlet], outlets: Outlets, most: Most) -> None:
    """Work through the raw topics (`inlets` by topic) for ever: one chunk is read, others are stored, others are published.

    Each step takes the chunks of a partition in order, so reading and publishing go on while Postgres works.
    """
    lanes = [Lane(most) for _ in range(LANES)]
    applied: Queue[_Applied] = Queue(maxsize=1)
    publisher = AssetPublisher(outlets)
    async with TaskGroup() as steps:
        storing = [steps.create_task(_store_all(lane, publisher, applied)) for lane in lanes]
        publishing = steps.create_task(_publish_all(applied, outlets, chunks, publisher))
        await _read_all(chunks, inlets, outlets, lanes)
        for task in (*storing, publishing):  # there is nothing more to read: what is under way comes again
            task.cancel()


async def _read_all(chunks: Chunks, inlets: Mapping[str, Inlet], outlets: Outlets, lanes: Sequence[Lane]) -> None:
    async for chunk in chunks.unacknowledged():  # the records of one partition, in order
        started = outlets.clock.monotonic()
        inlet = inlets[chunk.topic]
        with bound_contextvars(source=inlet.source.name, **_places_of([chunk])):
            reading = await read_in_turns(inlet.source, chunk.records)  # pure: a bad record spares its neighbours
            outlets.unapplied.add(chunk, reading.entries)
            runs = runs_in(reading.entries)
            with bound_contextvars(**_runs_of(runs)):
                await _set_aside(reading.rejected, chunk, inlet, outlets)  # returns once Kafka has them
            traces = traces_in(chunk.records, reading.entries)
            done = outlets.clock.monotonic()
            outlets.measures.stage("read", done - started)
        await lanes[chunk.partition % LANES].put(Read(chunk, inlet, reading.entries, started, done, traces, runs))


async def _store_all(lane: Lane, publisher: AssetPublisher, applied: Queue[_Applied]) -> None:
    while True:
        reads = await lane.take()  # of one topic
        started = publisher.outlets.clock.monotonic()
        with _telling_of(reads):
            written = await _write_together(reads, publisher)  # waits an outage out
        stored = Between(started, publisher.outlets.clock.monotonic())
        _measure(reads, stored, publisher.outlets.measures)
        await applied.put(_Applied(reads, written, stored))


async def _publish_all(applied: Queue[_Applied], outlets: Outlets, chunks: Chunks, publisher: AssetPublisher) -> None:
    while True:
        reads, written, stored = await applied.get()
        with _telling_of(reads):
            started = outlets.clock.monotonic()
            traces = traces_of([(read.traces, read.entries) for read in reads])
            published = await publisher.publish(written, traces)  # returns once Kafka has them
            for read in reads:
                chunks.acknowledge(read.chunk)  # nothing else moves an offset
                outlets.unapplied.applied((read.chunk.topic, read.chunk.partition), read.chunk.end)
            publishing = Between(started, outlets.clock.monotonic())
            outlets.measures.stage("publish", publishing.seconds)
            counted = _total(written)
            tell_spans(outlets.tracer, outlets.clock, Work(reads, stored, publishing, traces, counted))
            outlets.measures.applied(reads[0].inlet.source.name, counted, published=published)
            log.info(
                "chunk_stored",
                received=sum(len(read.chunk) for read in reads),
                stored=counted.stored,
                duplicate=counted.duplicate,
                dead_lettered=counted.dead_lettered,
                published=published,
                duration_ms=round(1000 * (outlets.clock.monotonic() - reads[0].started)),
            )


def _measure(reads: Sequence[Read], stored: Between, measures: Measures) -> None:
    """Count and time one transaction of chunks, and what they have waited for it."""
    for read in reads:
        measures.stage("wait", stored.began - read.done)
    measures.stage("store", stored.seconds)
    measures.stored(sum(len(read.chunk) for read in reads), sum(read.chunk.size for read in reads))


def _telling_of(reads: Sequence[Read]) -> AbstractContextManager[object]:
    """Name the chunks of a topic, and the runs that they are of, in every line that is logged about them."""
    places = _places_of([read.chunk for read in reads])
    return bound_contextvars(
        source=reads[0].inlet.source.name, **places, **_runs_of(set[UUID]().union(*(read.runs for read in reads)))
    )


def _places_of(chunks: Sequence[Chunk]) -> dict[str, object]:
    """Return partition and offsets of each, or of the only one."""
    if len(chunks) > 1:
        places = " ".join(f"{chunk.partition}:{chunk.records[0].offset}-{chunk.end - 1}" for chunk in chunks)
        return {"topic": chunks[0].topic, "chunks": len(chunks), "places": places}
    (chunk,) = chunks
    return {
        "topic": chunk.topic,
        "partition": chunk.partition,
        "first_offset": chunk.records[0].offset,
        "last_offset": chunk.end - 1,
    }


def _runs_of(found: Iterable[UUID]) -> dict[str, object]:
    """Return the run; several, where a backlog is worked off, are counted and the first named."""
    runs = sorted(found)
    if len(runs) > 1:
        return {"runs": len(runs), "run_ids": [str(run) for run in runs[:RUNS_NAMED]]}
    return {"run_id": str(runs[0])} if runs else {}


async def _write_together(reads: Sequence[Read], publisher: AssetPublisher) -> Sequence[Written]:
    """Write what waited together in one transaction. When Postgres refuses a value, write each chunk in its own."""
    if len(reads) > 1:
        parts = [Part(read.chunk.partition, read.entries) for read in reads]
        try:
            return [await _store(parts, reads[0].inlet, publisher)]
        except Exception as error:
            if not postgres_errors.is_refusal(error):
                raise
    return [written for read in reads for written in await _write(read.entries, read.chunk, read.inlet, publisher)]


async def _store(parts: Sequence[Part], inlet: Inlet, publisher: AssetPublisher) -> Written:
    outlets = publisher.outlets
    written = await outlets.through_postgres(lambda: write_together(outlets.pool, inlet.destination, parts))
    publisher.owe(written)
    return written


async def _write(entries: Sequence[Entry], chunk: Chunk, inlet: Inlet, publisher: AssetPublisher) -> list[Written]:
    """Write the entries. When Postgres refuses a value, halve until the one record that holds it is found and set aside."""
    try:
        return [await _store([Part(chunk.partition, entries)], inlet, publisher)]
    except Exception as error:
        if not postgres_errors.is_refusal(error) or not any(isinstance(entry, Tick) for entry in entries):
            raise
        refusal = error
    if len(entries) > 1:
        half = len(entries) // 2
        first = await _write(entries[:half], chunk, inlet, publisher)
        return first + await _write(entries[half:], chunk, inlet, publisher)
    rejected = _refused(entries[0], refusal, chunk)
    await _set_aside([rejected], chunk, inlet, publisher.outlets)
    return await _write([set_aside(rejected)], chunk, inlet, publisher)


def _refused(entry: Entry, error: Exception, chunk: Chunk) -> Rejected:
    record = next(record for record in chunk.records if record.offset == entry.offset)
    rejection = Rejection(Reason.REFUSED_BY_DATABASE, f"{type(error).__name__}: {error}"[:1_000])
    return Rejected(record, rejection, entry.quote.run_id if isinstance(entry, Tick) else entry.run_id)


async def _set_aside(rejected: Sequence[Rejected], chunk: Chunk, inlet: Inlet, outlets: Outlets) -> None:
    if not rejected:
        return
    topic, source = outlets.dead_letters_topic, inlet.source.name
    await outlets.publish([dead_letter(one, chunk, stage=STAGE, source=source, topic=topic) for one in rejected])
    outlets.measures.set_aside(source, rejected)
    first = rejected[0]
    reasons = Counter(one.rejection.reason.value for one in rejected)
    log.warning("records_dead_lettered", count=len(rejected), reasons=dict(reasons), first_rejected=first.record.offset)
    log.debug("record_rejected", rejected_offset=first.record.offset, detail=first.rejection.detail)  # it quotes the row
    if len(rejected) > REJECTIONS_TO_ALARM and 2 * len(rejected) > len(chunk):
        log.error("most_records_rejected", rejected=len(rejected), received=len(chunk))


def _total(written: Sequence[Written]) -> Counted:
    total = Counted(0, 0, 0)
    for one in written:
        counted = one.counted
        total = replace(
            total,
            stored=total.stored + counted.stored,
            duplicate=total.duplicate + counted.duplicate,
            dead_lettered=total.dead_lettered + counted.dead_lettered,
        )
    return total
