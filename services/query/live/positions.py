"""Where a client of the stream stands in assets.normalized: the next offset of each partition, as one short text."""

import re
from collections.abc import Sequence
from typing import NamedTuple

LONGEST_POSITION = 2_000
_TEXT = re.compile(r"[0-9a-f]{1,16}(\.[0-9a-f]{1,16})+")
_LARGEST = 2**63 - 1


class Position(NamedTuple):
    """A client that is here has seen every asset as of each record below these offsets, in that version or a newer one.

    `newest_ms` is Kafka's highest time of any record that this covers. A record below an offset that is newer than that is not
    one that the client has seen: the topic was made anew, and its offsets began again.
    """

    newest_ms: int
    offsets: tuple[int, ...]


def encode_position(newest_ms: int, offsets: Sequence[int]) -> bytes:
    """Return the text, opaque to clients."""
    return b"%x.%b" % (newest_ms, b".".join([b"%x" % offset for offset in offsets]))


def decode_position(text: str) -> Position:
    """Read one back. Raises ValueError for what is none."""
    if len(text) > LONGEST_POSITION or not _TEXT.fullmatch(text):
        raise ValueError("not an event id of this stream; leave it out to begin anew")
    newest_ms, *offsets = (int(number, 16) for number in text.split("."))
    if max(newest_ms, *offsets) > _LARGEST:
        raise ValueError("not an event id of this stream; leave it out to begin anew")
    return Position(newest_ms, tuple(offsets))
