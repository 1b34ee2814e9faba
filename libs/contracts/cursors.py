"""What a producer must remember over a restart. The value of etl.cursors, one compacted partition; the newest of a key counts.

Keys: `source/shard` for a PollCursor, `source/#quota/N` for the requests counted by the owner of command partition N,
`source/#schedule` for the last scheduled run, `source/#shape` for the fields of the source's rows. A shard's name never begins
with `#`.
"""

from base64 import b64decode, b64encode
from collections.abc import Iterable
from datetime import UTC, date, datetime, timedelta
from typing import Annotated, Literal
from uuid import UUID

from pydantic import AwareDatetime, BaseModel, ConfigDict, Field, TypeAdapter

from libs.contracts.commands import LONGEST_SHARD, LONGEST_SOURCE
from libs.contracts.texts import Name

MINUTE = timedelta(minutes=1)


class PollCursor(BaseModel):
    """What a shard's last answer held, so that the same content is not published twice."""

    model_config = ConfigDict(frozen=True, extra="ignore")

    kind: Literal["poll"] = "poll"
    source: str = Field(max_length=LONGEST_SOURCE)
    shard: str = Field(max_length=LONGEST_SHARD)
    run_id: UUID
    polled_at: AwareDatetime
    tick_ids: str = Field(description="The answer's tick_ids, 16 bytes each, sorted, joined, in base64")
    listings: str = Field(
        "", description="For each of tick_ids, in its order, 8 bytes of a hash of the row's listing, joined, in base64"
    )
    carried: str = Field(
        "",
        description="Earlier rows whose listing no shard holds now: hash and tick_id, 24 bytes each, joined, in base64",
    )
    whole_at: AwareDatetime | None = Field(None, description="When the whole answer was last published, the unchanged rows too")


class QuotaUsage(BaseModel):
    """Requests sent under one API key by the owner of one command partition; a key's use is the sum over the partitions."""

    model_config = ConfigDict(frozen=True, extra="ignore")

    kind: Literal["quota"] = "quota"
    source: str = Field(max_length=LONGEST_SOURCE)
    command_partition: int = Field(ge=0)
    month: date = Field(description="First day of the month (UTC) that month_requests counts")
    month_requests: int = Field(ge=0)
    other_month: date | None = Field(None, description="First day of the last month (UTC) but `month` that requests were sent in")
    other_month_requests: int = Field(0, ge=0)
    recent_requests: tuple[AwareDatetime, ...] = Field(description="When the requests of the last minute were sent")
    blocked_until: AwareDatetime | None = Field(None, description="The provider's Retry-After")
    minute_limit: int | None = Field(None, description="Requests a minute that the plan allows, as its owner was told", ge=0)
    month_limit: int | None = Field(None, description="Requests a month that the plan allows, as its owner was told", ge=0)

    @property
    def by_month(self) -> dict[date, int]:
        """Requests by the first day of their month, of the months that are still known."""
        other = {self.other_month: self.other_month_requests} if self.other_month is not None else {}
        return {self.month: self.month_requests} | other

    def within_a_minute(self, now: datetime) -> tuple[datetime, ...]:
        """A clock that was set back leaves times in the future; they must not hold us for as long as it was wrong."""
        return tuple(time for time in self.recent_requests if now - MINUTE < time < now + MINUTE)


class ScheduleMark(BaseModel):
    """When the last scheduled run was requested, so that a new owner of partition 0 keeps the period."""

    model_config = ConfigDict(frozen=True, extra="ignore")

    kind: Literal["schedule"] = "schedule"
    source: str = Field(max_length=LONGEST_SOURCE)
    requested_at: AwareDatetime
    interval_seconds: float | None = Field(
        None, description="How long after it the next is due; null when none is, or when nobody told", gt=0
    )
    since: AwareDatetime | None = Field(None, description="From when that interval counts, if not from requested_at")


class FieldShape(BaseModel):
    """What is known of one field of a source's rows."""

    model_config = ConfigDict(frozen=True, extra="ignore")

    field: Name = Field(description="`outer.inner`, `list[].inner`; for a file, the column")
    types: tuple[str, ...] = Field(description="JSON types seen there; `numeral` and `text` in a file. A null is no value")
    usual: bool = Field(description="Whether most rows had a value there when it was first seen")


class ShapeCursor(BaseModel):
    """The fields of a source's rows as last known, so that what has drifted is told once."""

    model_config = ConfigDict(frozen=True, extra="ignore")

    kind: Literal["shape"] = "shape"
    source: str = Field(max_length=LONGEST_SOURCE)
    learned_in: UUID = Field(description="The first run that was looked at; what its shards have is learned, not told")
    fields: tuple[FieldShape, ...]
    lacking: dict[str, tuple[str, ...]] = Field(
        default_factory=dict, description="Shard -> the usual fields that its last answer did not have"
    )


def month_of(now: datetime) -> date:
    """Return the first day of the month, in UTC, as the providers count."""
    return now.astimezone(UTC).date().replace(day=1)


Cursor = Annotated[PollCursor | QuotaUsage | ScheduleMark | ShapeCursor, Field(discriminator="kind")]
CURSOR: TypeAdapter[Cursor] = TypeAdapter(Cursor)


def unpack_tick_ids(packed: str) -> frozenset[bytes]:
    """Return the ids as 16-byte strings, which hash faster than UUIDs."""
    joined = b64decode(packed)
    return frozenset(joined[start : start + 16] for start in range(0, len(joined), 16))


ContentOf = bytes
"""Which content a listing had: 8 bytes of a hash of the listing, then the 16 bytes of the tick_id."""
LISTING_BYTES, TICK_ID_BYTES = 8, 16


def pack_contents(contents: Iterable[ContentOf]) -> tuple[str, str]:
    """Return a cursor's `tick_ids` and `listings`."""
    rows = sorted(content[LISTING_BYTES:] + content[:LISTING_BYTES] for content in set(contents))
    tick_ids, listings = bytearray(TICK_ID_BYTES * len(rows)), bytearray(LISTING_BYTES * len(rows))
    joined, width = b"".join(rows), TICK_ID_BYTES + LISTING_BYTES
    # Column by column: half of the time that row by row takes.
    for column in range(TICK_ID_BYTES):
        tick_ids[column::TICK_ID_BYTES] = joined[column::width]
    for column in range(LISTING_BYTES):
        listings[column::LISTING_BYTES] = joined[TICK_ID_BYTES + column :: width]
    return b64encode(tick_ids).decode(), b64encode(listings).decode()


def unpack_contents(cursor: PollCursor) -> frozenset[ContentOf]:
    """Return what the answer held; nothing for a cursor that does not tell the listings."""
    tick_ids, listings = b64decode(cursor.tick_ids), b64decode(cursor.listings)
    return frozenset(listings[8 * n : 8 * n + 8] + tick_ids[16 * n : 16 * n + 16] for n in range(len(listings) // 8))


def tells_exactly(cursor: PollCursor, contents: int) -> bool:
    """Whether a cursor is as long as so many contents are when they are packed: it repeats none, and nothing is left over."""
    wanted = _length_in_base64(TICK_ID_BYTES * contents), _length_in_base64(LISTING_BYTES * contents)
    return (len(cursor.tick_ids), len(cursor.listings)) == wanted


def _length_in_base64(count: int) -> int:
    return 4 * -(-count // 3)


def pack_carried(contents: Iterable[ContentOf]) -> str:
    """Return a cursor's `carried`."""
    return b64encode(b"".join(sorted(contents))).decode()


def unpack_carried(cursor: PollCursor) -> frozenset[ContentOf]:
    """Return what the shard remembers of listings that are on no shard now."""
    joined = b64decode(cursor.carried)
    return frozenset(joined[start : start + 24] for start in range(0, len(joined), 24))


def cursor_key(cursor: Cursor) -> str:
    """Return the record key that the newest value of this cursor lives under."""
    match cursor:
        case PollCursor():
            return f"{cursor.source}/{cursor.shard}"
        case QuotaUsage():
            return f"{cursor.source}/#quota/{cursor.command_partition}"
        case ScheduleMark():
            return f"{cursor.source}/#schedule"
        case ShapeCursor():
            return f"{cursor.source}/#shape"
