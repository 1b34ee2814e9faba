"""Spans sent to an OpenTelemetry collector (OTLP over HTTP). Imported only where an endpoint is set: see `opened_tracer`.

Nothing of ours waits for the collector: spans stand in a bounded queue that a thread empties, and what does not fit is dropped.
"""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from contextvars import ContextVar
from threading import Timer
from typing import Final

from opentelemetry.context import Context
from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter
from opentelemetry.sdk.resources import SERVICE_NAME, SERVICE_VERSION, Resource
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import BatchSpanProcessor
from opentelemetry.sdk.trace.id_generator import RandomIdGenerator
from opentelemetry.sdk.trace.sampling import ALWAYS_ON, ParentBased
from opentelemetry.trace import Link, NonRecordingSpan, Span, SpanContext, Status, StatusCode, TraceFlags, set_span_in_context

from libs.contracts.trace_context import TraceContext
from libs.telemetry.tracing import NOTHING, Attributes

EXPORT_SECONDS: Final = 2.0
"""Of one request to the collector, the tries of it included."""
_NANOSECONDS: Final = 1_000_000_000
_own: ContextVar[TraceContext | None] = ContextVar("own", default=None)
"""The ids of the span that is about to be made, where they are not random."""


class _Ids(RandomIdGenerator):
    """Random, except for the first span of a run."""

    def generate_trace_id(self) -> int:
        own = _own.get()
        return super().generate_trace_id() if own is None else int(own.trace_id, 16)

    def generate_span_id(self) -> int:
        own = _own.get()
        return super().generate_span_id() if own is None else int(own.span_id, 16)


class ExportingTracer:
    """A `libs.telemetry.tracing.Tracer` whose spans are sent."""

    def __init__(self, service: str, version: str, endpoint: str) -> None:
        self._provider = TracerProvider(
            resource=Resource.create({SERVICE_NAME: service, SERVICE_VERSION: version, "service.namespace": "kasparro"}),
            sampler=ParentBased(ALWAYS_ON),
            id_generator=_Ids(),
            shutdown_on_exit=False,
        )
        self._exporter = OTLPSpanExporter(endpoint=f"{endpoint.rstrip('/')}/v1/traces", timeout=EXPORT_SECONDS)
        self._provider.add_span_processor(BatchSpanProcessor(self._exporter))
        self._tracer = self._provider.get_tracer("kasparro", version)

    @contextmanager
    def span(
        self, name: str, *, parent: TraceContext | None = None, own: TraceContext | None = None, attributes: Attributes = NOTHING
    ) -> Iterator[TraceContext]:
        """See Tracer."""
        chosen = _own.set(own if parent is None else None)
        try:
            span = self._tracer.start_span(name, context=_remote(parent), attributes=attributes)
        finally:
            _own.reset(chosen)
        try:
            yield _context_of(span)
        except Exception as error:
            span.record_exception(error)
            span.set_status(Status(StatusCode.ERROR, str(error)))
            raise
        finally:
            span.end()

    def record(
        self,
        name: str,
        *,
        seconds: tuple[float, float],
        parent: TraceContext | None = None,
        links: Sequence[TraceContext] = (),
        attributes: Attributes = NOTHING,
    ) -> TraceContext:
        """See Tracer."""
        began, ended = (int(each * _NANOSECONDS) for each in seconds)
        linked = [Link(_span_context(one)) for one in links]
        span = self._tracer.start_span(name, context=_remote(parent), links=linked, attributes=attributes, start_time=began)
        span.end(end_time=ended)
        return _context_of(span)

    def close(self, seconds: float) -> None:
        """Send what is left, for at most so long and one request more. Blocks: call it in a thread.

        The provider itself would try for half a minute where nobody answers: it has no timeout that could be given.
        """
        too_late = Timer(seconds, self._exporter.shutdown)
        too_late.start()
        self._provider.shutdown()
        too_late.cancel()


def _remote(parent: TraceContext | None) -> Context:
    """Without a parent an empty context: no span is ever the current one, since a task may work at several."""
    return Context() if parent is None else set_span_in_context(NonRecordingSpan(_span_context(parent)), Context())


def _span_context(context: TraceContext) -> SpanContext:
    flags = TraceFlags(context.flags)
    return SpanContext(int(context.trace_id, 16), int(context.span_id, 16), is_remote=True, trace_flags=flags)


def _context_of(span: Span) -> TraceContext:
    made = span.get_span_context()
    return TraceContext(f"{made.trace_id:032x}", f"{made.span_id:016x}", int(made.trace_flags) & TraceFlags.SAMPLED)
