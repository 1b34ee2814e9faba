"""The agent of the raw topics: store a chunk, publish what changed, then acknowledge. In any other order something is lost."""

from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import timedelta
from typing import Final, TypeVar

import structlog

from libs.contracts.asset import encode_asset
from libs.domain.rejections import Reason, Rejection
from libs.kafka import errors as kafka_errors
from libs.kafka.publishing import Publisher
from libs.kafka.records import Record as Outgoing
from libs.postgres import errors as postgres_errors
from libs.postgres.pool import Pool
from libs.postgres.writing.chunks import Destination, Entry, Written, write_chunk
from libs.postgres.writing.ticks import Counted, SetAside, Tick
from libs.process.clock import Clock
from libs.process.outages import wait_out
from libs.sources.source import Source
from libs.streaming.agents import Chunks
from libs.streaming.chunks import Chunk
from services.normalizer.reading import Rejected, dead_letter, read_chunk

log = structlog.get_logger(__name__)

STAGE: Final = "normalizer"
REJECTIONS_TO_ALARM: Final = 100
"""Fewer are bad luck; more than these, and more than half of a chunk, are a change at the provider or a bug of ours."""

Result = TypeVar("Result")


@dataclass(frozen=True, slots=True)
class Outlets:
    """Where results go: the database, and Kafka by the names of two topics."""

    pool: Pool
    publisher: Publisher
    assets_topic: str
    dead_letters_topic: str
    clock: Clock
    retry_ceiling: timedelta

    async def through_postgres(self, attempt: Callable[[], Awaitable[Result]]) -> Result:
        """Wait out what waiting helps."""
        return await wait_out(
            attempt, postgres_errors.is_outage, dependency="postgres", clock=self.clock, ceiling=self.retry_ceiling
        )

    async def publish(self, records: Sequence[Outgoing]) -> None:
        """Return once Kafka has them all, however long it is away."""
        await wait_out(
            lambda: self.publisher.publish(records),
            kafka_errors.is_outage,
            dependency="kafka",
            clock=self.clock,
            ceiling=self.retry_ceiling,
        )


@dataclass(frozen=True, slots=True)
class Inlet:
    """A raw topic: whose ticks it carries, and where they are stored."""

    source: Source
    destination: Destination


async def normalize(chunks: Chunks, inlets: Mapping[str, Inlet], outlets: Outlets) -> None:
    """Work through the raw topics (`inlets` by topic) for ever."""
    async for chunk in chunks.unacknowledged():  # the records of one partition, in order
        with structlog.contextvars.bound_contextvars(
            topic=chunk.topic, partition=chunk.partition, first_offset=chunk.records[0].offset, last_offset=chunk.end - 1
        ):
            await normalize_chunk(chunk, inlets[chunk.topic], outlets)
            chunks.acknowledge(chunk)  # nothing else moves an offset


async def normalize_chunk(chunk: Chunk, inlet: Inlet, outlets: Outlets) -> Counted:
    """Apply one chunk and publish what it changed; returns when the database and Kafka have everything."""
    started = outlets.clock.monotonic()
    reading = read_chunk(inlet.source, chunk.records)
    await _set_aside(reading.rejected, chunk, inlet, outlets)
    written = await _write(reading.entries, chunk, inlet, outlets)
    messages = [message for one in written for message in _messages(one, outlets.assets_topic)]
    await outlets.publish(messages)
    counted = _total(written)
    log.info(
        "chunk_stored",
        received=len(chunk),
        stored=counted.stored,
        duplicate=counted.duplicate,
        dead_lettered=counted.dead_lettered,
        published=len(messages),
        duration_ms=round(1000 * (outlets.clock.monotonic() - started)),
    )
    return counted


async def _write(entries: Sequence[Entry], chunk: Chunk, inlet: Inlet, outlets: Outlets) -> list[Written]:
    """Write the entries. When Postgres refuses a value, halve until the one record that holds it is found and set aside."""
    try:
        return [await outlets.through_postgres(lambda: write_chunk(outlets.pool, inlet.destination, chunk.partition, entries))]
    except Exception as error:
        if not postgres_errors.is_refusal(error) or not any(isinstance(entry, Tick) for entry in entries):
            raise
        refusal = error
    if len(entries) > 1:
        half = len(entries) // 2
        first = await _write(entries[:half], chunk, inlet, outlets)
        return first + await _write(entries[half:], chunk, inlet, outlets)
    rejected = _refused(entries[0], refusal, chunk)
    await _set_aside([rejected], chunk, inlet, outlets)
    return await _write([SetAside(rejected.record.offset, rejected.run_id)], chunk, inlet, outlets)


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


def _messages(written: Written, topic: str) -> list[Outgoing]:
    changed = [Outgoing(topic, one.asset.asset_uid.encode(), encode_asset(one.asset, one.version)) for one in written.changed]
    return changed + [Outgoing(topic, asset_uid.encode(), None) for asset_uid in written.gone]


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
