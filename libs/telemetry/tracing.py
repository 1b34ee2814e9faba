"""Spans as the services make them. Nobody records them unless an endpoint is set; the ids travel either way."""

from collections.abc import Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, contextmanager
from secrets import token_hex
from typing import Final, Protocol

from libs.contracts.trace_context import TraceContext

Attributes = Mapping[str, str | int | float]
NOTHING: Final[Attributes] = {}


class Tracer(Protocol):
    """Makes spans. `parent` is whose trace goes on; without one a new trace begins, with the ids of `own` if given."""

    def span(
        self, name: str, *, parent: TraceContext | None = None, own: TraceContext | None = None, attributes: Attributes = NOTHING
    ) -> AbstractContextManager[TraceContext]:
        """Have a span while a block runs; an error that leaves the block is noted on it."""
        ...

    def record(
        self,
        name: str,
        *,
        seconds: tuple[float, float],
        parent: TraceContext | None = None,
        links: Sequence[TraceContext] = (),
        attributes: Attributes = NOTHING,
    ) -> TraceContext:
        """Note a span that is over. `seconds`: when it began and ended, by Unix time."""
        ...


class Unrecorded:
    """A Tracer that only makes ids."""

    @contextmanager
    def span(
        self,
        name: str,  # noqa: ARG002
        *,
        parent: TraceContext | None = None,
        own: TraceContext | None = None,
        attributes: Attributes = NOTHING,  # noqa: ARG002
    ) -> Iterator[TraceContext]:
        """See Tracer."""
        yield parent.child() if parent is not None else own or new_trace()

    def record(
        self,
        name: str,  # noqa: ARG002
        *,
        seconds: tuple[float, float],  # noqa: ARG002
        parent: TraceContext | None = None,
        links: Sequence[TraceContext] = (),  # noqa: ARG002
        attributes: Attributes = NOTHING,  # noqa: ARG002
    ) -> TraceContext:
        """See Tracer."""
        return parent.child() if parent is not None else new_trace()


def new_trace() -> TraceContext:
    """Return the first span of a trace that belongs to no run."""
    return TraceContext(token_hex(16), token_hex(8))


UNRECORDED: Final = Unrecorded()
