"""From a shard's answer to records: what is unchanged is dropped, what names no listing is set aside, the rest is published."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from hashlib import sha256
from typing import NamedTuple
from uuid import UUID

from libs.contracts.cursors import ContentOf, PollCursor, pack_carried
from libs.contracts.dead_letters import LINE_HEADER, Origin, dead_letter_headers
from libs.contracts.raw_tick import RawTickEncoder
from libs.contracts.run_events import ShardCounts
from libs.contracts.trace_context import TraceContext, context_of_run
from libs.domain.rejections import Reason, Rejection
from libs.kafka.records import Position, Record
from libs.producing.clocks import CLOCK_ERROR_BELIEVED
from libs.producing.drift import Found, KnownShape, Looking
from libs.producing.fetching import Answer
from libs.producing.published import Published, tick_id_in
from libs.producing.reading import Rows, read_rows
from libs.producing.row_contents import RowContents
from libs.producing.topics import ProducerTopics
from libs.sources.source import Source

STAGE = "producer"
HEADERS_ROOM = 65_536
"""Bytes of a dead letter that are left for its headers."""


@dataclass(frozen=True, slots=True)
class ReadAnswer:
    """An answer whose rows have been read once, ready to be compared with what is published."""

    source: Source
    topics: ProducerTopics
    run_id: UUID
    shard: str
    answer: Answer
    rows: Rows
    contents: frozenset[ContentOf]
    """Of all rows."""
    fetched_at: datetime
    trace: Sequence[tuple[str, bytes]]
    """The header of each tick that names the run's trace; the same object for all of them."""

    def against(self, published: Published, known: KnownShape | None) -> tuple[PollCursor, "News"]:
        """Compare the answer with what is published and known: what the shard must remember, and what is new."""
        answer = self.not_before(published.polled_at)
        news = answer.news(published)
        looking = Looking(self.source, self.run_id, self.shard, self.answer.rows, known, published.others)
        return answer.cursor(published), news._replace(found=looking.found(news.places))

    def not_before(self, polled_at: datetime | None) -> "ReadAnswer":
        """Return the answer as fetched after the shard's last one, though our clock was set back in between.

        Of two contents with one event time (a rank changes without it) the one that was fetched later counts.
        """
        if polled_at is None or not timedelta(0) <= polled_at - self.fetched_at <= CLOCK_ERROR_BELIEVED:
            return self
        return replace(self, fetched_at=polled_at + timedelta(milliseconds=1))

    def cursor(self, published: Published) -> PollCursor:
        """Return what the shard must remember."""
        tick_ids, listings = published.packed(self.contents)
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
        rejected: list[Reason] = []
        places: list[int] = []
        encode, raw = RawTickEncoder(self.source.name, self.run_id, self.fetched_at).encode, self.topics.raw.name
        rows, identities = self.answer.rows, self.rows.identities
        for place, content in enumerate(self.rows.contents):
            if content not in wanted:
                continue
            wanted.discard(content)
            if not whole or content in lacking:
                places.append(place)
            identity = identities.get(place) or self.source.identify(rows[place], self.answer.updated_at)
            if not isinstance(identity, Rejection):
                value = encode(tick_id_in(content), *identity, rows[place])
                ticks.append(Record(raw, identity.asset_uid.encode(), value, self._headers(place)))
            elif content in lacking:
                dead_letters.append(self._dead_letter(place, identity))
                rejected.append(identity.reason)
        fetched, new = len(self.rows.contents), len(ticks) + len(dead_letters)
        counts = ShardCounts(fetched=fetched, unchanged=fetched - new, published=len(ticks), dead_lettered=len(dead_letters))
        return News(ticks, dead_letters, counts, rejected, places)

    def _dead_letter(self, place: int, rejection: Rejection) -> Record:
        payload = self.answer.rows[place]
        most = self.topics.dead_letters.largest_message - HEADERS_ROOM
        if len(payload) > most:
            rejection = _cut_short(rejection, payload, most)
        headers = dead_letter_headers(
            rejection,
            Origin(self.topics.raw.name, -1, -1),
            stage=STAGE,
            source=self.source.name,
            run_id=self.run_id,
            original=self._headers(place),
        )
        return Record(self.topics.dead_letters.name, None, payload[:most], headers)

    def _headers(self, place: int) -> Sequence[tuple[str, bytes]]:
        positions = self.answer.positions
        return [(LINE_HEADER, positions[place].encode("utf-8", "replace")), *self.trace] if positions else self.trace


class News(NamedTuple):
    """What an answer adds; the ticks come first in a transaction, so their positions do too.

    `places` are those of the rows that the shard did not have before, which are fewer than the ticks when all is published.
    """

    ticks: Sequence[Record]
    dead_letters: Sequence[Record]
    counts: ShardCounts
    rejected: Sequence[Reason]
    """What is wrong with each of the dead letters."""
    places: Sequence[int]
    found: Found = Found()

    def last_offsets(self, positions: Sequence[Position]) -> dict[int, int]:
        """Return, for each partition of the raw topic, where the last tick landed."""
        last: dict[int, int] = {}
        for partition, offset, _ in positions[: len(self.ticks)]:
            if offset > last.get(partition, -1):
                last[partition] = offset
        return last


def read_answer(
    source: Source,
    topics: ProducerTopics,
    run_id: UUID,
    shard: str,
    answer: Answer,
    *,
    contents: RowContents,
    trace: TraceContext | None = None,
) -> ReadAnswer:
    """Read an answer's rows, as far as they were not read lately."""
    rows = read_rows(source, answer, contents)
    headers = (trace or context_of_run(run_id)).headers
    return ReadAnswer(source, topics, run_id, shard, answer, rows, frozenset(rows.contents), answer.fetched_at, headers)


def _cut_short(rejection: Rejection, payload: bytes, most: int) -> Rejection:
    """Say of a row that no message holds what is missing, and how to know the whole of it when it turns up."""
    whole = f"the first {most} of its {len(payload)} bytes are kept, SHA-256 of all: {sha256(payload).hexdigest()}"
    return Rejection(rejection.reason, f"{rejection.detail[:1_000]}; {whole}")
