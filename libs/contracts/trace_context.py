"""The trace that a run is: W3C's `traceparent`, as it travels in Kafka's headers from the command to the asset.

A run that nobody traces is its own trace: the trace-id is the run_id's 32 hex digits, and the id of its first span their second
half. So whoever has one of them has the other, in a log, in a topic, in a table, without anything being looked up. A run that was
asked for with a `traceparent` belongs to the caller's trace instead; its log lines then say `trace_id` beside `run_id`.
`tracestate` is not carried: it belongs to vendors, and would cost bytes on each tick.
"""

import re
from collections.abc import Iterable
from secrets import token_hex
from typing import Final, NamedTuple
from uuid import UUID

TRACEPARENT: Final = "traceparent"
"""The header's name, in Kafka and in HTTP."""
TRACERESPONSE: Final = "traceresponse"
"""What an HTTP answer calls it."""
SAMPLED: Final = 1
LONGEST: Final = 512
"""Bytes of a header that are looked at: anybody may have written it."""
_READABLE: Final = re.compile(r"(?!ff)([0-9a-f]{2})-(?!0{32})([0-9a-f]{32})-(?!0{16})([0-9a-f]{16})-([0-9a-f]{2})(-.*)?")


class TraceContext(NamedTuple):
    """A span by which others find it: 32 and 16 hex digits, and W3C's flags."""

    trace_id: str
    span_id: str
    flags: int = SAMPLED

    @property
    def traceparent(self) -> str:
        """As a header's value: 55 characters."""
        return f"00-{self.trace_id}-{self.span_id}-{self.flags:02x}"

    @property
    def headers(self) -> tuple[tuple[str, bytes], ...]:
        """As the headers of a record."""
        return ((TRACEPARENT, self.traceparent.encode()),)

    def child(self) -> "TraceContext":
        """Return a new span of the same trace."""
        return TraceContext(self.trace_id, token_hex(8), self.flags)


def context_of_run(run_id: UUID) -> TraceContext:
    """Return the first span of a run that nobody else traces."""
    digits = run_id.hex
    return TraceContext(digits, digits[16:])


def read_traceparent(text: str) -> TraceContext | None:
    """Return what a `traceparent` says; None when it is none that W3C allows, as though it were not there."""
    found = _READABLE.fullmatch(text[:LONGEST])
    if found is None or (found[1] == "00" and found[5]):
        return None
    return TraceContext(found[2], found[3], int(found[4], 16) & SAMPLED)


def context_in(headers: Iterable[tuple[str, bytes | None]]) -> TraceContext | None:
    """Return the trace that a record belongs to by its headers; None when they do not say."""
    for name, value in headers:
        if name == TRACEPARENT and value is not None:
            return read_traceparent(value[:LONGEST].decode("ascii", "replace"))
    return None


def trace_fields(context: TraceContext, run_id: UUID) -> dict[str, str]:
    """Return what a log line says of a run's trace beside its run_id: nothing when that is the trace's id."""
    return {} if context.trace_id == run_id.hex else {"trace_id": context.trace_id}
