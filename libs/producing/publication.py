"""From a shard's answer to records: what is unchanged is dropped, what names no listing is set aside, the rest is published."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from hashlib import sha256
from typing import NamedTuple
from uuid import UUID

import msgspec

from libs.contracts.cursors import ContentOf, PollCursor, pack_carried, pack_contents
from libs.contracts.dead_letters import LINE_HEADER, Origin, dead_letter_headers
from libs.contracts.raw_tick import RawTickFrame, encode_raw_tick
from libs.contracts.run_events import ShardCounts
from libs.domain.identity import content_hash
from libs.domain.rejections import Rejection
from libs.kafka.records import Position, Record
from libs.producing.clocks import CLOCK_ERROR_BELIEVED
from libs.producing.fetching import Answer, Row
from libs.producing.published import Published, content_of, tick_id_in
from libs.producing.row_contents import RowContents
from libs.producing.topics import ProducerTopics
from libs.sources.source import RowIdentity, Source

STAGE = "producer"
HEADERS_ROOM = 65_536
"""Bytes of a dead letter that are left for its headers."""


class _Read(NamedTuple):
    """A row and its content; a bad row has one too, so that it is set aside once and not at each poll.

    `identity` is None where the content was remembered: nearly always nobody asks for it.
    """

    content: ContentOf
    row: Row
    identity: RowIdentity | Rejection | None


@dataclass(frozen=True, slots=True)
class ReadAnswer:
    """An answer whose rows have been read once, ready to be compared with what is published."""

    source: Source
    topics: ProducerTopics
    run_id: UUID
    shard: str
    fetched_at: datetime
    updated_at: datetime
    rows: Sequence[_Read]
    contents: frozenset[ContentOf]
    """Of all rows."""

    def not_before(self, polled_at: datetime | None) -> "ReadAnswer":
        """Return the answer as fetched after the shard's last one, though our clock was set back in between.

        Of two contents with one event time (a rank changes without it) the one that was fetched later counts.
        """
        if polled_at is None or not timedelta(0) <= polled_at - self.fetched_at <= CLOCK_ERROR_BELIEVED:
            return self
        return replace(self, fetched_at=polled_at + timedelta(milliseconds=1))

    def cursor(self, published: Published) -> PollCursor:
        """Return what the shard must remember."""
        tick_ids, listings = pack_contents(self.contents)
        return PollCursor(
            source=self.source.name,
            shard=self.shard,
            run_id=self.run_id,
            polled_at=self.fetched_at,
            tick_ids=tick_ids,
            listings=listings,
            carried=pack_carried(published.carried_on(self.contents)),
            whole_at=published.whole_at(self.fetched_at, self.topics.raw.kept),
        )

    def news(self, published: Published) -> "News":
        """Return the records of what is not published yet; a repeat within the answer counts as unchanged.

        From time to time that is every tick: see `Published.whole_is_due`.
        """
        lacking = published.lacking(self.contents)
        whole = published.whole_is_due(self.fetched_at, self.topics.raw.kept)
        wanted = set(self.contents if whole else lacking)
        ticks: list[Record] = []
        dead_letters: list[Record] = []
        for read in self.rows:
            if read.content not in wanted:
                continue
            wanted.discard(read.content)
            identity = read.identity or self.source.identify(read.row.payload, self.updated_at)
            if not isinstance(identity, Rejection):
                ticks.append(self._tick(read, identity))
            elif read.content in lacking:
                dead_letters.append(self._dead_letter(read.row, identity))
        fetched, new = len(self.rows), len(ticks) + len(dead_letters)
        counts = ShardCounts(fetched=fetched, unchanged=fetched - new, published=len(ticks), dead_lettered=len(dead_letters))
        return News(ticks, dead_letters, counts)

    def _tick(self, read: _Read, identity: RowIdentity) -> Record:
        frame = RawTickFrame(
            UUID(bytes=tick_id_in(read.content)),
            self.source.name,
            identity.source_id,
            identity.asset_uid,
            self.run_id,
            self.fetched_at,
            identity.source_updated_at,
            msgspec.Raw(read.row.payload),
        )
        return Record(self.topics.raw.name, identity.asset_uid.encode(), encode_raw_tick(frame), _line_header(read.row))

    def _dead_letter(self, row: Row, rejection: Rejection) -> Record:
        most = self.topics.dead_letters.largest_message - HEADERS_ROOM
        if len(row.payload) > most:
            rejection = _cut_short(rejection, row.payload, most)
        headers = dead_letter_headers(
            rejection,
            Origin(self.topics.raw.name, -1, -1),
            stage=STAGE,
            source=self.source.name,
            run_id=self.run_id,
            original=_line_header(row),
        )
        return Record(self.topics.dead_letters.name, None, row.payload[:most], headers)


@dataclass(frozen=True, slots=True)
class News:
    """What an answer adds; the ticks come first in a transaction, so their positions do too."""

    ticks: Sequence[Record]
    dead_letters: Sequence[Record]
    counts: ShardCounts

    def last_offsets(self, positions: Sequence[Position]) -> dict[int, int]:
        """Return, for each partition of the raw topic, where the last tick landed."""
        last: dict[int, int] = {}
        for position in positions[: len(self.ticks)]:
            last[position.partition] = max(position.offset, last.get(position.partition, -1))
        return last


def read_answer(
    source: Source, topics: ProducerTopics, run_id: UUID, shard: str, answer: Answer, *, contents: RowContents
) -> ReadAnswer:
    """Read each row at most once: what listing it is, or why it is none. What was read lately is not read again."""
    rows = [_read(source, row, answer.updated_at, contents) for row in answer.rows]
    held = frozenset([read.content for read in rows])
    return ReadAnswer(source, topics, run_id, shard, answer.fetched_at, answer.updated_at, rows, held)


def _read(source: Source, row: Row, updated_at: datetime, contents: RowContents) -> _Read:
    if row.rejection is None and (remembered := contents.of(row.payload)) is not None:
        return _Read(remembered, row, None)
    identity = row.rejection or source.identify(row.payload, updated_at)
    source_id = "" if isinstance(identity, Rejection) else identity.source_id
    tick_id = content_hash(source.name, source_id, row.payload)
    # Rows without a listing have nothing in common: each is its own.
    content = content_of(source_id or tick_id.hex(), tick_id)
    if row.rejection is None:
        contents.put(row.payload, content)
    return _Read(content, row, identity)


def _cut_short(rejection: Rejection, payload: bytes, most: int) -> Rejection:
    """Say of a row that no message holds what is missing, and how to know the whole of it when it turns up."""
    whole = f"the first {most} of its {len(payload)} bytes are kept, SHA-256 of all: {sha256(payload).hexdigest()}"
    return Rejection(rejection.reason, f"{rejection.detail[:1_000]}; {whole}")


def _line_header(row: Row) -> list[tuple[str, bytes]]:
    return [(LINE_HEADER, row.position.encode("utf-8", "replace"))] if row.position is not None else []
