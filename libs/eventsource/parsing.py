"""Server-sent events from bytes, as the HTML standard reads them: whatever pieces they come in, the events are the same.

https://html.spec.whatwg.org/multipage/server-sent-events.html#event-stream-interpretation. Pure.
"""

import re
from typing import Final, NamedTuple

LARGEST_EVENT: Final = 4 * 1024 * 1024
"""Bytes of one event, or of one line. The largest asset has some thousands: what has more is no stream of ours."""
BYTE_ORDER_MARK: Final = b"\xef\xbb\xbf"
_LINE_END: Final = re.compile(rb"\r\n|\r|\n")
_DIGITS: Final = re.compile(r"[0-9]{1,9}")


class EventTooLargeError(Exception):
    """A line or an event does not end: whatever sends it is not to be read on."""


class ServerSentEvent(NamedTuple):
    """One event. `position` is the last id that had been sent by then, what a reader resumes from; empty when there was none."""

    name: str
    text: str
    position: str


class EventParser:
    """Reads one connection's bytes. `position` and `retry_ms` are what its successor begins with."""

    def __init__(self, position: str = "") -> None:
        self.position = position
        self.retry_ms: int | None = None
        self._id = position
        self._name = ""
        self._data: list[str] = []
        self._size = 0
        self._partial = bytearray()
        self._after_return = False
        self._first_line = True

    def feed(self, piece: bytes) -> list[ServerSentEvent]:
        """Return the events that end in this piece. One that has not ended when the connection does is none."""
        if not piece:
            return []
        if self._after_return:  # a line's end of two bytes may have been cut in two
            piece = piece.removeprefix(b"\n")
        self._after_return = piece.endswith(b"\r")
        *ended, rest = _LINE_END.split(piece)
        events = []
        for line in ended:
            self._partial += line
            if event := self._take(bytes(self._partial)):
                events.append(event)
            self._partial.clear()
        self._partial += rest
        self._check_size(len(self._partial))
        return events

    def _take(self, line: bytes) -> ServerSentEvent | None:
        if self._first_line:
            self._first_line = False
            line = line.removeprefix(BYTE_ORDER_MARK)
        if not line:
            return self._end_event()
        name, _, value = line.decode(errors="replace").partition(":")
        value = value.removeprefix(" ")
        if name == "data":
            self._size += len(line)
            self._check_size(self._size)
            self._data.append(value)
        elif name == "event":
            self._name = value
        elif name == "id" and "\0" not in value:
            self._id = value
        elif name == "retry" and _DIGITS.fullmatch(value):
            self.retry_ms = int(value)
        return None

    def _end_event(self) -> ServerSentEvent | None:
        name, data = self._name, self._data
        self.position = self._id
        self._name, self._data, self._size = "", [], 0
        return ServerSentEvent(name or "message", "\n".join(data), self.position) if data else None

    def _check_size(self, size: int) -> None:
        if size > LARGEST_EVENT:
            raise EventTooLargeError(f"an event of more than {LARGEST_EVENT} bytes")
