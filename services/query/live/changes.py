"""One record of assets.normalized as the stream holds it: what decides who gets it, and its event as every client gets it."""

from collections.abc import Iterable
from dataclasses import dataclass, replace
from typing import Self

import msgspec

from libs.kafka.tailing import TopicRecord
from services.query.live.positions import Position, decode_position, encode_position
from services.query.live.wanted import UNRANKED, Wanted

State = tuple[str, int]
"""An asset's source and rank: what may take it out of what a client wants."""

_EVENT = b"id: %b\nevent: asset\ndata: %b\n\n"
_REMOVED = b"id: %b\nevent: removed\ndata: %b\n\n"
_TEXT = b'{"event":"%b","id":"%b","data":%b}'
_DATA = b"\ndata: "


class _Listing(msgspec.Struct):
    source: str


class _Seen(msgspec.Struct):
    """What decides; the rest of an Asset is passed on unread."""

    version: int
    taken: _Listing
    market_cap_rank: int | None = None


_decoder = msgspec.json.Decoder(_Seen)


class UnreadableAssetError(ValueError):
    """A record that is no Asset."""


@dataclass(slots=True, eq=False)
class Change:
    """A version of an asset, or that it is gone. `seq` is its place in the order in which this process has read them."""

    seq: int
    uid: str
    partition: int
    offset: int
    timestamp_ms: int
    version: int
    state: State | None
    """None: it is gone."""
    event: bytes
    """For a client of server-sent events, its id included. The id is the same for all: see ChangeLog."""
    was: tuple[State, ...] = ()
    """What it had been before, since the last change of it that the log still holds."""
    successor: Self | None = None
    """The next change of the same asset; this one is history then."""

    def is_wanted(self, wanted: Wanted) -> bool:
        """Whether this is to be sent as it is; `wanted.uids` is asked before."""
        return self.state is not None and wanted.fits(*self.state)

    def was_wanted(self, wanted: Wanted) -> bool:
        """Whether a client may have it from before."""
        return any(wanted.fits(*state) for state in self.was)

    def as_removed(self) -> bytes:
        """Return the event that tells a client that it is no longer what it wants."""
        return self.event if self.state is None else _REMOVED % (self.position, _named(self.uid))

    def as_text(self) -> bytes:
        """Return its event for a client of a WebSocket."""
        return _TEXT % (b"asset", self.position, self.data)

    def as_removed_text(self) -> bytes:
        """Return, for such a client, the event that it is no longer what it wants."""
        return _TEXT % (b"removed", self.position, _named(self.uid))

    def behind(self, position: Position) -> Self:
        """Return it as it is told to a client that has what a position covers from another process, which was ahead of this one.

        Its id covers both: by the id that others get, such a client would come again for what it has, and go back.
        """
        own = decode_position(self.position.decode())
        offsets = [max(both) for both in zip(own.offsets, position.offsets, strict=True)]
        id_ = encode_position(max(own.newest_ms, position.newest_ms), offsets)
        return replace(self, event=b"id: %b%b" % (id_, self.event[self.event.index(b"\n") :]))

    @property
    def position(self) -> bytes:
        """The id of its event."""
        return self.event[4 : self.event.index(b"\n")]

    @property
    def data(self) -> bytes:
        """The data of its event: the record's own bytes."""
        return self.event[self.event.index(_DATA) + len(_DATA) : -2]


def change_of(record: TopicRecord, seq: int, position: bytes) -> Change:
    """Read a record. Raises UnreadableAssetError."""
    try:
        uid = (record.key or b"").decode()
        place = (seq, uid, record.partition, record.offset, record.timestamp_ms)
        if record.value is None:
            return Change(*place, 0, None, _REMOVED % (position, _named(uid)))
        seen = _decoder.decode(record.value)
    except (UnicodeDecodeError, msgspec.DecodeError, RecursionError) as error:
        raise UnreadableAssetError(str(error)) from None
    rank = UNRANKED if seen.market_cap_rank is None else seen.market_cap_rank
    return Change(*place, seen.version, (seen.taken.source, rank), _EVENT % (position, _in_one_line(record.value)))


def merged(states: Iterable[State]) -> tuple[State, ...]:
    """Return the fewest states that are wanted by whoever wants one of these: of each source the best rank."""
    best: dict[str, int] = {}
    for source, rank in states:
        best[source] = min(rank, best.get(source, rank))
    return tuple(best.items())


def _named(uid: str) -> bytes:
    return msgspec.json.encode({"asset_uid": uid})


def _in_one_line(value: bytes) -> bytes:
    """A line's end would end the event's data; in JSON it can only be white space, and ours has none."""
    return value.replace(b"\r", b" ").replace(b"\n", b" ") if b"\n" in value or b"\r" in value else value
