"""Which content a row is, remembered by its bytes: most of an answer is word for word what the last one said."""

from collections.abc import Iterable

from libs.contracts.cursors import ContentOf

MOST_BYTES = 32 * 2**20
"""Of rows, in each of the two generations: some 27,000 of 1.2 KB, as the recorded ones have, and no provider lists more."""
ROW_OVERHEAD = 200
"""Bytes that a row costs here beside its own."""


class RowContents:
    """The contents of the rows that were read lately, of all shards: a row that moves to another page is known there.

    Two generations, so that what was asked for lately outlives what was not: when the newer one is full, the older goes.
    Used from several threads. They may overwrite what another has just put, or lose it; nobody is told something wrong.
    """

    def __init__(self, most_bytes: int = MOST_BYTES) -> None:
        self._most_bytes = most_bytes
        self._newer: dict[bytes, ContentOf] = {}
        self._older: dict[bytes, ContentOf] = {}
        self._newer_bytes = 0

    def at_once(self, payloads: Iterable[bytes]) -> list[ContentOf | None]:
        """Return what the newer generation holds of these: all of an answer that has not changed; `of` knows the rest."""
        return list(map(self._newer.get, payloads))

    def of(self, payload: bytes) -> ContentOf | None:
        """Return the content of a row that was put here and is still held."""
        content = self._newer.get(payload)
        if content is None and (content := self._older.get(payload)) is not None:
            self.put(payload, content)
        return content

    def put(self, payload: bytes, content: ContentOf) -> None:
        """Remember a row."""
        if self._newer_bytes >= self._most_bytes:
            self._older, self._newer, self._newer_bytes = self._newer, {}, 0
        self._newer[payload] = content
        self._newer_bytes += len(payload) + ROW_OVERHEAD
