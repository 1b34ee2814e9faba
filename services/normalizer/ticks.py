"""The agent of the raw topics: store a chunk, publish what changed, then acknowledge. In any other order something is lost."""

from asyncio import Queue, TaskGroup
from collections.abc import Mapping, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass, replace
from typing import Final, NamedTuple

import structlog

from libs.domain.rejections import Reason, Rejection
from libs.postgres import errors as postgres_errors
from libs.postgres.writing.chunks import Destination, Entry, Written, write_chunk
from libs.postgres.writing.ticks import Counted, Tick
from libs.sources.source import Source
from libs.streaming.agents import Chunks
from libs.streaming.chunks import Chunk
from services.normalizer.outlets import Outlets
from services.normalizer.publishing import AssetPublisher
from services.normalizer.reading import Rejected, dead_letter, read_in_turns, set_aside

log = structlog.get_logger(__name__)

STAGE: Final = "normalizer"
LANES: Final = 2
"""Chunks that are stored at once. Those of one partition number share a lane, so that each partition's are stored in order."""
REJECTIONS_TO_ALARM: Final = 100
"""Fewer are bad luck; more than these, and more than half of a chunk, are a change at the provider or a bug of ours."""


@dataclass(frozen=True, slots=True)
class Inlet:
    """A raw topic: whose ticks it carries, and where they are stored."""

    source: Source
    destination: Destination


class _Read(NamedTuple):
    """A chunk whose rejected records are in the dead letters."""

    chunk: Chunk
    inlet: Inlet
    entries: Sequence[Entry]
    started: float


class _Applied(NamedTuple):
    """A chunk that the database has."""

    chunk: Chunk
    written: Sequence[Written]
    started: float


async def normalize(chunks: Chunks, inlets: Mapping[str, Inlet], outlets: Outlets) -> None:
    """Work through the raw topics (`inlets` by topic) for ever: one chunk is read, others are stored, one is published.

    Each step takes the chunks of a partition in order, so reading and publishing go on while Postgres works.
    """
    lanes: list[Queue[_Read | None]] = [Queue(maxsize=1) for _ in range(LANES)]
    applied: Queue[_Applied | None] = Queue(maxsize=1)
    publisher = AssetPublisher(outlets)
    async with TaskGroup() as steps:
        steps.create_task(_read_all(chunks, inlets, outlets, lanes))
        for lane in lanes:
            steps.create_task(_store_all(lane, publisher, applied))
        steps.create_task(_publish_all(applied, outlets, chunks, publisher))


async def _read_all(chunks: Chunks, inlets: Mapping[str, Inlet], outlets: Outlets, lanes: Sequence[Queue[_Read | None]]) -> None:
    async for chunk in chunks.unacknowledged():  # the records of one partition, in order
        with _telling_of(chunk):
            started = outlets.clock.monotonic()
            inlet = inlets[chunk.topic]
            reading = await read_in_turns(inlet.source, chunk.records)  # pure: a bad record spares its neighbours
            await _set_aside(reading.rejected, chunk, inlet, outlets)  # returns once Kafka has them
        await lanes[chunk.partition % LANES].put(_Read(chunk, inlet, reading.entries, started))
    for lane in lanes:
        await lane.put(None)


async def _store_all(lane: Queue[_Read | None], publisher: AssetPublisher, applied: Queue[_Applied | None]) -> None:
    while (one := await lane.get()) is not None:
        with _telling_of(one.chunk):
            written = await _write(one.entries, one.chunk, one.inlet, publisher)  # one transaction; waits an outage out
        await applied.put(_Applied(one.chunk, written, one.started))
    await applied.put(None)


async def _publish_all(applied: Queue[_Applied | None], outlets: Outlets, chunks: Chunks, publisher: AssetPublisher) -> None:
    stored = LANES
    while stored:
        if (one := await applied.get()) is None:
            stored -= 1
            continue
        with _telling_of(one.chunk):
            published = await publisher.publish(one.written)  # returns once Kafka has them
            chunks.acknowledge(one.chunk)  # nothing else moves an offset
            counted = _total(one.written)
            log.info(
                "chunk_stored",
                received=len(one.chunk),
                stored=counted.stored,
                duplicate=counted.duplicate,
                dead_lettered=counted.dead_lettered,
                published=published,
                duration_ms=round(1000 * (outlets.clock.monotonic() - one.started)),
            )


def _telling_of(chunk: Chunk) -> AbstractContextManager[None]:
    """Name the chunk in every line that is logged about it."""
    return structlog.contextvars.bound_contextvars(
        topic=chunk.topic, partition=chunk.partition, first_offset=chunk.records[0].offset, last_offset=chunk.end - 1
    )


async def _write(entries: Sequence[Entry], chunk: Chunk, inlet: Inlet, publisher: AssetPublisher) -> list[Written]:
    """Write the entries. When Postgres refuses a value, halve until the one record that holds it is found and set aside."""
    outlets = publisher.outlets
    try:
        written = await outlets.through_postgres(lambda: write_chunk(outlets.pool, inlet.destination, chunk.partition, entries))
    except Exception as error:
        if not postgres_errors.is_refusal(error) or not any(isinstance(entry, Tick) for entry in entries):
            raise
        refusal = error
    else:
        publisher.owe(written)
        return [written]
    if len(entries) > 1:
        half = len(entries) // 2
        first = await _write(entries[:half], chunk, inlet, publisher)
        return first + await _write(entries[half:], chunk, inlet, publisher)
    rejected = _refused(entries[0], refusal, chunk)
    await _set_aside([rejected], chunk, inlet, outlets)
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
    log.warning(
        "records_dead_lettered", count=len(rejected), reason=rejected[0].rejection.reason, detail=rejected[0].rejection.detail
    )
    if len(rejected) > REJECTIONS_TO_ALARM and 2 * len(rejected) > len(chunk):
        log.error("most_records_rejected", rejected=len(rejected), received=len(chunk), source=source)


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
