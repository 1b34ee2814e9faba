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
from libs.domain.identity import tick_id_of
from libs.domain.rejections import Rejection
from libs.kafka.records import Position, Record
from libs.producing.clocks import CLOCK_ERROR_BELIEVED
from libs.producing.fetching import Answer, Row
from libs.producing.published import Published, content_of
from libs.producing.topics import ProducerTopics
from libs.sources.source import RowIdentity, Source

STAGE = "producer"
HEADERS_ROOM = 65_536
"""Bytes of a dead letter that are left for its headers."""


class _Read(NamedTuple):
    """A row, what it is, and the id of its content; a bad row has one too, so that it is set aside once and not at each poll."""

    tick_id: UUID
    content: ContentOf
    row: Row
    identity: RowIdentity | Rejection


@dataclass(frozen=True, slots=True)
class ReadAnswer:
    """An answer whose rows have been read once, ready to be compared with what is published."""

    source: Source
    topics: ProducerTopics
    run_id: UUID
    shard: str
    fetched_at: datetime
    rows: Sequence[_Read]

    def not_before(self, polled_at: datetime | None) -> "ReadAnswer":
        """Return the answer as fetched after the shard's last one, though our clock was set back in between.

        Of two contents with one event time (a rank changes without it) the one that was fetched later counts.
        """
        if polled_at is None or not timedelta(0) <= polled_at - self.fetched_at <= CLOCK_ERROR_BELIEVED:
            return self
        return replace(self, fetched_at=polled_at + timedelta(milliseconds=1))

    def cursor(self, published: Published) -> PollCursor:
        """Return what the shard must remember."""
        held = {read.content for read in self.rows}
        tick_ids, listings = pack_contents(held)
        return PollCursor(
            source=self.source.name,
            shard=self.shard,
            run_id=self.run_id,
            polled_at=self.fetched_at,
            tick_ids=tick_ids,
            listings=listings,
            carried=pack_carried(published.carried_on(held)),
            whole_at=published.whole_at(self.fetched_at, self.topics.raw.kept),
        )

    def news(self, published: Published) -> "News":
        """Return the records of what is not published yet; a repeat within the answer counts as unchanged.

        From time to time that is every tick: see `Published.whole_is_due`.
        """
        whole = published.whole_is_due(self.fetched_at, self.topics.raw.kept)
        seen: set[bytes] = set()
        ticks: list[Record] = []
        dead_letters: list[Record] = []
        for read in self.rows:
            again = whole and not isinstance(read.identity, Rejection)
            if read.content in seen or (not again and published.holds(read.content)):
                continue
            seen.add(read.content)
            if isinstance(read.identity, Rejection):
                dead_letters.append(self._dead_letter(read.row, read.identity))
            else:
                ticks.append(self._tick(read, read.identity))
        fetched, new = len(self.rows), len(ticks) + len(dead_letters)
        counts = ShardCounts(fetched=fetched, unchanged=fetched - new, published=len(ticks), dead_lettered=len(dead_letters))
        return News(ticks, dead_letters, counts)

    def _tick(self, read: _Read, identity: RowIdentity) -> Record:
        frame = RawTickFrame(
            read.tick_id,
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


def read_answer(source: Source, topics: ProducerTopics, run_id: UUID, shard: str, answer: Answer) -> ReadAnswer:
    """Read each row once: what listing it is, or why it is none."""
    rows = [_read(source, row, answer.updated_at) for row in answer.rows]
    return ReadAnswer(source, topics, run_id, shard, answer.fetched_at, rows)


def _read(source: Source, row: Row, updated_at: datetime) -> _Read:
    identity = row.rejection or source.identify(row.payload, updated_at)
    source_id = "" if isinstance(identity, Rejection) else identity.source_id
    tick_id = tick_id_of(source.name, source_id, row.payload)
    # Rows without a listing have nothing in common: each is its own.
    return _Read(tick_id, content_of(source_id or tick_id.hex, tick_id.bytes), row, identity)


def _cut_short(rejection: Rejection, payload: bytes, most: int) -> Rejection:
    """Say of a row that no message holds what is missing, and how to know the whole of it when it turns up."""
    whole = f"the first {most} of its {len(payload)} bytes are kept, SHA-256 of all: {sha256(payload).hexdigest()}"
    return Rejection(rejection.reason, f"{rejection.detail[:1_000]}; {whole}")


def _line_header(row: Row) -> list[tuple[str, bytes]]:
    return [(LINE_HEADER, row.position.encode("utf-8", "replace"))] if row.position is not None else []
