"""Reading records: whatever other clients wrote in their headers, and without a detour where nothing is missed by it.

Kafka calls a header's name text and checks nothing. aiokafka's decoder fails on a name that is no UTF-8, in the middle of a
fetch and without saying where, so one such record would end whoever reads its partition, again and again.
"""

from collections.abc import Iterator
from typing import Any

import structlog
from aiokafka.consumer import fetcher
from aiokafka.errors import CorruptRecordException
from aiokafka.record.default_records import _DefaultRecordBatchPy
from aiokafka.record.memory_records import _MemoryRecordsPy

log = structlog.get_logger(__name__)


def read_any_header_name() -> None:
    """Let every consumer of this process read names that are no UTF-8, with backslashes for the bytes that are none.

    And records `as_read`, if it asks for them.
    """
    fetcher.MemoryRecords = _Batches
    fetcher.PartitionRecords = _Records


def as_read(value: bytes | None) -> bytes | None:
    """Ask a consumer, as its value_deserializer, for aiokafka's records as its reader in C makes them: a third of the time less.

    They have no topic and no partition, which is known to who asks for the records of a partition.
    """
    return value


class _Records(fetcher.PartitionRecords):  # type: ignore[misc] # aiokafka has no types
    """What a fetch brought of a partition, one record after another."""

    def _consumer_record(self, tp: Any, record: Any) -> Any:
        return record if self._value_deserializer is as_read else super()._consumer_record(tp, record)


class _Batches(_MemoryRecordsPy):  # type: ignore[misc] # final, and the only place that knows a batch's bytes
    """What a fetch brought of a partition: aiokafka's own batches, each with its bytes in case it cannot be read."""

    def next_batch(self) -> Any:
        encoded = self._next_slice
        batch = super().next_batch()
        return batch if encoded is None or batch is None or batch.is_control_batch else _Batch(batch, encoded)


class _Batch:
    """A batch of records, read in C unless that fails."""

    def __init__(self, batch: Any, encoded: memoryview) -> None:
        self._batch = batch
        self._encoded = encoded

    def __getattr__(self, name: str) -> Any:
        return getattr(self._batch, name)

    def __iter__(self) -> Iterator[Any]:
        try:
            return iter(list(self._batch))
        except (UnicodeDecodeError, CorruptRecordException):
            log.warning("header_name_is_no_text", offset=self._batch.base_offset, to=self._batch.next_offset - 1)
            return iter(list(_LenientBatch(self._encoded)))


class _LenientBatch(_DefaultRecordBatchPy):  # type: ignore[misc] # final, and its buffer is what decodes the names
    """A batch read in Python, where only names are decoded."""

    _buffer: bytearray

    def _maybe_uncompress(self) -> None:
        super()._maybe_uncompress()
        self._buffer = _Lenient(self._buffer)


class _Lenient(bytearray):
    def __getitem__(self, place: Any) -> Any:
        found = super().__getitem__(place)
        return _Lenient(found) if isinstance(place, slice) else found

    def decode(self, encoding: str = "utf-8", errors: str = "backslashreplace") -> str:
        return super().decode(encoding, errors)
