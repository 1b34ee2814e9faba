"""From records to quotes. Pure: what is wrong with a record is an answer, and one bad record spares its neighbours."""

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass, field
from functools import partial
from typing import Final
from uuid import UUID

import msgspec

from libs.contracts.dead_letters import Origin, dead_letter_headers
from libs.contracts.raw_tick import RawTickFrame, decode_raw_tick
from libs.domain.identity import content_hash
from libs.domain.rejections import Reason, Rejection
from libs.kafka.records import Record as Outgoing
from libs.postgres.writing.chunks import Entry
from libs.postgres.writing.ticks import SetAside, Tick
from libs.sources.source import Source
from libs.streaming.chunks import Chunk, Record

CLOCK_SKEW_ALLOWED_MS: Final = 24 * 3_600_000
"""Between the producer's clock and the broker's. A tick from the far future would keep every later one out."""

RECORDS_A_TURN: Final = 200
"""Some 5 ms."""

ATTEMPT_HEADER: Final = "kasparro.attempt"
MOST_DIGITS: Final = 10
"""Whoever wrote the header: more are no count of attempts."""

_tick = partial(tuple.__new__, Tick)
"""By the tuple's own constructor: there is one for nearly every record."""


@dataclass(frozen=True, slots=True)
class Rejected:
    """A record that can never be applied, and why."""

    record: Record
    rejection: Rejection
    run_id: UUID | None


@dataclass(frozen=True, slots=True)
class Reading:
    """A chunk as read: what to write, every record of it in order, and what was rejected."""

    entries: list[Entry] = field(default_factory=list)
    rejected: list[Rejected] = field(default_factory=list)


def read_chunk(source: Source, records: Sequence[Record]) -> Reading:
    """Read every record as a tick of the source."""
    reading = Reading()
    for record in records:
        read = _read(source, record)
        if isinstance(read, Rejected):
            reading.rejected.append(read)
            reading.entries.append(set_aside(read))
        else:
            reading.entries.append(read)
    return reading


async def read_in_turns(source: Source, records: Sequence[Record]) -> Reading:
    """Read every record, and let others of this thread work in between: Postgres would stand idle with its answer unheard."""
    reading = Reading()
    for first in range(0, len(records), RECORDS_A_TURN):
        turn = read_chunk(source, records[first : first + RECORDS_A_TURN])
        reading.entries.extend(turn.entries)
        reading.rejected.extend(turn.rejected)
        await asyncio.sleep(0)
    return reading


def set_aside(rejected: Rejected) -> SetAside:
    """Make the entry that stands for a rejected record."""
    return SetAside(rejected.record.offset, None if _is_redriven(rejected.record) else rejected.run_id)


def dead_letter(rejected: Rejected, chunk: Chunk, *, stage: str, source: str, topic: str) -> Outgoing:
    """Make the dead letter: key and bytes untouched, the headers say why and where from."""
    record = rejected.record
    headers = dead_letter_headers(
        rejected.rejection,
        Origin(chunk.topic, chunk.partition, record.offset),
        stage=stage,
        source=source,
        run_id=rejected.run_id,
        attempt=_attempt(record),
        original=[(name, value or b"") for name, value in record.headers],
    )
    return Outgoing(topic, record.key, record.value, tuple(headers))


def _read(source: Source, record: Record) -> Tick | Rejected:
    frame = _frame(record)
    if isinstance(frame, Rejection):
        return Rejected(record, frame, None)
    wrong = _mismatch(source, record, frame)
    if wrong is not None:
        return Rejected(record, wrong, frame.run_id)
    quote = source.quote_of(frame)
    if isinstance(quote, Rejection):
        return Rejected(record, quote, frame.run_id)
    return _tick((record.offset, quote, frame.payload, not _is_redriven(record)))


def _frame(record: Record) -> RawTickFrame | Rejection:
    if record.value is None:
        return Rejection(Reason.UNDECODABLE, "the record has no value")
    try:
        return decode_raw_tick(record.value)
    except msgspec.ValidationError as error:
        return Rejection(Reason.WRONG_SHAPE, f"not a RawTick: {error}")
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        return Rejection(Reason.UNDECODABLE, f"not JSON: {error}")


def _mismatch(source: Source, record: Record, frame: RawTickFrame) -> Rejection | None:
    """Compare what the tick says of itself with its topic, its key, its content and Kafka's clock."""
    if frame.source != source.name:
        return Rejection(Reason.IDENTITY_MISMATCH, f"a tick of {frame.source!r} in the topic of {source.name!r}")
    if frame.asset_uid.encode("utf-8", "replace") != record.key:
        return Rejection(Reason.IDENTITY_MISMATCH, f"asset_uid {frame.asset_uid!r} under the key {record.key!r}")
    if content_hash(frame.source, frame.source_id, bytes(frame.payload)) != frame.tick_id.bytes:
        return Rejection(Reason.IDENTITY_MISMATCH, f"tick_id {frame.tick_id} is not that of the content")
    # Kafka's time of the record is the same in every replay, so a replay judges the same.
    if frame.fetched_at.timestamp() * 1000 - record.timestamp > CLOCK_SKEW_ALLOWED_MS:
        return Rejection(Reason.TIME_IN_FUTURE, f"fetched_at {frame.fetched_at} is over 24 h after it was published")
    return None


def _is_redriven(record: Record) -> bool:
    return bool(record.headers) and _attempt(record) > 1


def _attempt(record: Record) -> int:
    """How often the record has been tried: a re-driven dead letter carries its count."""
    for name, value in record.headers:
        if name == ATTEMPT_HEADER and value is not None and len(value) <= MOST_DIGITS and value.isdigit():
            return int(value)
    return 1
