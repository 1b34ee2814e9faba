"""The headers of a dead letter: Kafka Connect's names, plus where in our pipeline it was set aside.

Written by us and read by us; but anybody may write to the topic, so what is read is cut, cleaned, and perhaps not there.
"""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from hashlib import blake2b
from typing import Final
from uuid import UUID

from libs.domain.rejections import Reason, Rejection

Headers = Sequence[tuple[str, bytes]]

LINE_HEADER = "kasparro.source.position"
"""On a raw tick from a file: `name:line`, carried on to the dead letter."""


LONGEST_DETAIL = 2_000
"""Characters: the words may quote the record, and a header must not make a dead letter too large for its topic."""


@dataclass(frozen=True, slots=True)
class Origin:
    """Where a record came from; partition and offset are -1 when it never reached a topic."""

    topic: str
    partition: int
    offset: int


def dead_letter_headers(
    rejection: Rejection,
    origin: Origin,
    *,
    stage: str,
    source: str,
    run_id: UUID | None,
    attempt: int = 1,
    original: Headers = (),
) -> list[tuple[str, bytes]]:
    """Return the original headers followed by what went wrong and where; earlier error headers are replaced."""
    ours = {
        "__connect.errors.topic": origin.topic,
        "__connect.errors.partition": str(origin.partition),
        "__connect.errors.offset": str(origin.offset),
        "__connect.errors.connector.name": source,
        "__connect.errors.stage": stage,
        "__connect.errors.class.name": rejection.reason.value,
        "__connect.errors.exception.class.name": rejection.reason.value,
        "__connect.errors.exception.message": rejection.detail[:LONGEST_DETAIL],
        "kasparro.run_id": str(run_id) if run_id else "",
        "kasparro.attempt": str(attempt),
    }
    kept = [(name, value) for name, value in original if name not in ours]
    return kept + [(name, text.encode("utf-8", "replace")) for name, text in ours.items()]


UNKNOWN_CLASS: Final = "unknown"
"""The error class of a letter whose header names none of ours."""
ERROR_CLASSES: Final = (*(reason.value for reason in Reason), UNKNOWN_CLASS)
ATTEMPT_HEADER: Final = "kasparro.attempt"
MOST_ATTEMPTS: Final = 2**31 - 1
LONGEST_NAME: Final = 249
"""Characters of a name in a header: Kafka allows a topic this many."""
_LARGEST_OFFSET: Final = 2**63 - 1
_LARGEST_PARTITION: Final = 2**31 - 1
_WHOLE: Final = re.compile(rb"-?[0-9]{1,19}")


@dataclass(frozen=True, slots=True)
class Told:
    """What the headers of a dead letter say; None where they say nothing that can be."""

    source: str | None
    error_class: str
    stage: str | None
    run_id: UUID | None
    attempt: int
    origin: Origin | None
    detail: str


def read_headers(headers: Sequence[tuple[str, bytes | None]]) -> Told:
    """Read headers that anybody may have written: whatever they hold, this returns, and Postgres takes what it returns."""
    held = {name: value or b"" for name, value in headers}
    topic = _text(held, "__connect.errors.topic")
    partition = _whole(held, "__connect.errors.partition", -1, _LARGEST_PARTITION)
    offset = _whole(held, "__connect.errors.offset", -1, _LARGEST_OFFSET)
    known = topic is not None and partition is not None and offset is not None
    error_class = _text(held, "__connect.errors.class.name")
    return Told(
        source=_text(held, "__connect.errors.connector.name"),
        error_class=error_class if error_class is not None and error_class in ERROR_CLASSES else UNKNOWN_CLASS,
        stage=_text(held, "__connect.errors.stage"),
        run_id=_run_id(held),
        attempt=min(_whole(held, ATTEMPT_HEADER, 1, _LARGEST_OFFSET) or 1, MOST_ATTEMPTS),
        origin=Origin(topic, partition, offset) if known else None,  # type: ignore[arg-type] # `known` says that none is None
        detail=_text(held, "__connect.errors.exception.message", LONGEST_DETAIL) or "",
    )


def identity_of(told: Told, key: bytes | None, value: bytes | None) -> UUID | None:
    """Return what a letter has in common with the letters that replays make of the same record at the same attempt.

    None when the record was in no topic: then nothing repeats it. The content is part of it because a topic that is made
    anew gives its offsets out again.
    """
    origin = told.origin
    if origin is None or origin.partition < 0 or origin.offset < 0:
        return None
    digest = blake2b(digest_size=16)
    where = f"{origin.topic}\0{origin.partition}\0{origin.offset}\0{told.attempt}".encode()
    for part in (where, key, value):
        digest.update(b"-" if part is None else b"%d:%b" % (len(part), part))
    return UUID(bytes=digest.digest())


def original_headers(headers: Sequence[tuple[str, bytes]], *, attempt: int) -> list[tuple[str, bytes]]:
    """Return the headers that the record had before it was set aside, and how often it has been tried."""
    kept = [(name, value) for name, value in headers if name not in _OURS]
    return [*kept, (ATTEMPT_HEADER, str(attempt).encode())]


_EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)
_LATEST: Final = datetime(9999, 1, 1, tzinfo=UTC)


def failed_at_of(timestamp_ms: int) -> datetime:
    """Return Kafka's time of a record. Where a topic keeps its senders' clocks that may be any number: it is cut."""
    try:
        return min(_EPOCH + timedelta(milliseconds=max(0, timestamp_ms)), _LATEST)
    except OverflowError:
        return _LATEST


_NOTHING: Final = dead_letter_headers(Rejection(Reason.UNDECODABLE, ""), Origin("", -1, -1), stage="", source="", run_id=None)
_OURS: Final = frozenset(name for name, _ in _NOTHING)


def _text(held: Mapping[str, bytes], name: str, longest: int = LONGEST_NAME) -> str | None:
    value = held.get(name, b"")[: 4 * longest]
    return value.decode("utf-8", "replace").replace("\0", "\ufffd")[:longest] or None


def _whole(held: Mapping[str, bytes], name: str, least: int, most: int) -> int | None:
    value = held.get(name, b"")
    if len(value) > len(str(_LARGEST_OFFSET)) or not _WHOLE.fullmatch(value):
        return None
    return int(value) if least <= int(value) <= most else None


def _run_id(held: Mapping[str, bytes]) -> UUID | None:
    try:
        return UUID(_text(held, "kasparro.run_id", 36) or "")
    except ValueError:
        return None
