"""Spans as the services make them. Nobody records them unless an endpoint is set; the ids travel either way."""

import asyncio
from collections.abc import AsyncIterator, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, asynccontextmanager, contextmanager
from secrets import token_hex
from typing import Final, Protocol

import structlog
from yarl import URL

from libs.contracts.trace_context import TraceContext

log = structlog.get_logger(__name__)

CLOSE_SECONDS: Final = 1.0
"""What a process gives a collector at its end."""
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


@asynccontextmanager
async def opened_tracer(service: str, version: str, endpoint: str | None) -> AsyncIterator[Tracer]:
    """Record spans while the block runs, if there is an endpoint to send them to, and send the last of them at its end.

    Without one nothing of OpenTelemetry is imported: it takes 9 MB and 0.2 s of a processor.
    """
    if endpoint is None:
        yield UNRECORDED
        return
    from libs.telemetry.opentelemetry_export import ExportingTracer

    tracer = ExportingTracer(service, version, endpoint)
    log.info("tracing", endpoint=_without_password(endpoint))
    try:
        yield tracer
    finally:
        await asyncio.to_thread(tracer.close, CLOSE_SECONDS)


def _without_password(endpoint: str) -> str:
    """Return scheme, host and port: the rest of a URL may be a password."""
    try:
        return str(URL(endpoint).origin())
    except ValueError:
        return "no URL"
