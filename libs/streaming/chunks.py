"""Chunk: the records of one partition that are handled, stored and acknowledged together. Pure."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Protocol


class Record(Protocol):
    """What a chunk holds: a record as aiokafka hands it out."""

    @property
    def offset(self) -> int:
        """Its place in the partition."""
        ...

    @property
    def timestamp(self) -> int:
        """Milliseconds since the epoch, as Kafka keeps it."""
        ...

    @property
    def key(self) -> bytes | None:
        """Raw."""
        ...

    @property
    def value(self) -> bytes | None:
        """Raw; None is a tombstone."""
        ...

    @property
    def headers(self) -> Sequence[tuple[str, bytes | None]]:
        """Raw; in a name, bytes that are no UTF-8 are written with backslashes."""
        ...


class ChunkLostError(Exception):
    """A chunk was fetched but never reached its agent: a bug. Acknowledging past it would lose it, so the process ends."""


@dataclass(frozen=True, slots=True)
class Lost:
    """Offsets that were gone before the group had read them: it wanted `wanted`, and went on at `kept`.

    `kept` is lower when the topic was made anew. Markers of transactions take offsets too, so the difference bounds the
    records lost.
    """

    wanted: int
    kept: int


@dataclass(frozen=True, slots=True, eq=False)
class Chunk:
    """Records of one partition in order; acknowledging it commits `end`.

    `start` and `end` are positions, not offsets of records: between them lie the markers of transactions too, and a chunk
    without records is one that holds nothing but those. `follows` is the `end` of the chunk fetched before it, None for the
    first one after the partition was taken over or moved to another position. `lost` is what is missing before `start`.
    `size` is the bytes of its values.
    """

    topic: str
    partition: int
    records: Sequence[Record]
    start: int
    end: int
    follows: int | None
    lost: Lost | None = None
    size: int = 0

    def __len__(self) -> int:
        return len(self.records)


def pack(
    topic: str,
    partition: int,
    records: Sequence[Record],
    *,
    start: int,
    end: int,
    follows: int | None,
    largest_bytes: int,
    lost: Lost | None = None,
) -> list[Chunk]:
    """Divide what one fetch brought of a partition into chunks of at most `largest_bytes` of values (one record may be more).

    What was lost before them goes with the first.
    """
    if not records:
        return [Chunk(topic, partition, (), start, end, follows, lost)]
    chunks: list[Chunk] = []
    for part, size in _parts(records, largest_bytes):
        is_last = part[-1] is records[-1]
        part_end = end if is_last else part[-1].offset + 1
        chunks.append(Chunk(topic, partition, part, start, part_end, follows, lost, size))
        start = follows = part_end
        lost = None
    return chunks


def _parts(records: Sequence[Record], largest_bytes: int) -> Iterator[tuple[Sequence[Record], int]]:
    first, held = 0, 0
    for place, record in enumerate(records):
        size = len(record.value or b"")
        if held and held + size > largest_bytes:
            yield records[first:place], held
            first, held = place, 0
        held += size
    yield records[first:], held
