"""One logging pipeline for our own lines, every library's, Python's warnings and the last words of a process that crashes.

Readable on a terminal, JSON elsewhere. docs/logging.md lists the events.
"""

import logging
import sys
import time
from contextlib import suppress
from functools import partial
from types import TracebackType
from typing import Literal, TextIO

import structlog
from structlog.typing import EventDict, Processor, ProcessorReturnValue, WrappedLogger

QUIET = ("aiokafka", "faust", "mode", "kafka", "yoyo", "asyncio", "aiohttp.access", "libs.streaming", "opentelemetry")
"""Libraries whose INFO is about themselves; their warnings still come through. Faust speaks under the names of our modules too,
of those whose classes extend its own; we ourselves never go through stdlib logging."""

REPEATING = ("aiokafka", "faust", "mode", "opentelemetry")
"""Libraries that say the same again and again while the broker, or the collector of spans, is away."""
REPEAT_SECONDS = 60.0
MOST_REMEMBERED = 256


class OnceAMinute(logging.Filter):
    """Lets the same line of a repeating library through once a minute; our own lines tell when an outage begins and ends."""

    def __init__(self) -> None:
        super().__init__()
        self._said: dict[tuple[str, str], float] = {}

    def filter(self, record: logging.LogRecord) -> bool:
        """Judge by the text before its values are filled in."""
        if not record.name.startswith(REPEATING):
            return True
        line, now = (record.name, str(record.msg)), time.monotonic()
        if now - self._said.get(line, -REPEAT_SECONDS) < REPEAT_SECONDS:
            return False
        if len(self._said) >= MOST_REMEMBERED:
            self._said.clear()
        self._said[line] = now
        return True


class Lines:
    """Writes our own lines where the libraries' go.

    On the way through stdlib logging, a LogRecord, its copy and the search for the calling frame cost twice as much as all the
    rest of a line, and the API writes one for each request.
    """

    def __init__(self, stream: TextIO, name: str = "") -> None:
        self.name = name
        self._stream = stream

    def write(self, line: str) -> None:
        """Write a line whole. When nobody takes it any more there is nobody to be told, and work goes on."""
        with suppress(OSError, ValueError):  # ValueError: it has been closed
            self._stream.write(line + "\n")
            self._stream.flush()

    debug = info = warning = error = critical = write


def configure_logging(level: str, service: str, *, style: Literal["auto", "json", "console"] = "auto") -> None:
    """Send structlog and stdlib logging to stderr, rendered by the same processors. Call once, first thing in a process."""
    console = style == "console" or (style == "auto" and sys.stderr.isatty())

    def name_service(_logger: WrappedLogger, _method: str, event: EventDict) -> EventDict:
        """Not by a context variable: a library's thread has none of ours."""
        event["service"] = service
        return event

    shared: list[Processor] = [
        structlog.contextvars.merge_contextvars,
        name_service,
        structlog.stdlib.add_log_level,
        structlog.stdlib.add_logger_name,
        structlog.processors.TimeStamper(fmt="iso", utc=True),
        structlog.processors.StackInfoRenderer(),
    ]
    rendering = _rendering(console=console)
    structlog.configure(
        processors=[*shared, *rendering],
        logger_factory=partial(Lines, sys.stderr),  # as it is now: a library may replace it
        wrapper_class=structlog.make_filtering_bound_logger(logging.getLevelNamesMapping()[level]),
        cache_logger_on_first_use=True,
    )
    handler = logging.StreamHandler(sys.stderr)
    tidy: Processor = structlog.stdlib.ProcessorFormatter.remove_processors_meta
    handler.setFormatter(structlog.stdlib.ProcessorFormatter(processors=[tidy, *rendering], foreign_pre_chain=shared))
    handler.addFilter(OnceAMinute())
    root = logging.getLogger()
    root.handlers = [handler]
    root.setLevel(level)
    for name in QUIET:
        logging.getLogger(name).setLevel(max(logging.WARNING, logging.getLevelNamesMapping()[level]))
    logging.captureWarnings(capture=True)
    sys.excepthook = _last_words


def _rendering(*, console: bool) -> list[Processor]:
    if console:
        # The default shows the values of local variables where it can, and so the secrets among them.
        plain = structlog.dev.plain_traceback
        return [_always(structlog.dev.ConsoleRenderer(colors=sys.stderr.isatty(), exception_formatter=plain))]
    return [structlog.processors.format_exc_info, _always(structlog.processors.JSONRenderer())]


def _last_words(kind: type[BaseException], error: BaseException, trace: TracebackType | None) -> None:
    """Tell of the bug that ends the process in a line like any other: its traceback is a field and not twenty lines."""
    if issubclass(kind, Exception):
        structlog.get_logger("process").critical("process_crashed", error=kind.__name__, exc_info=(kind, error, trace))
    else:
        sys.__excepthook__(kind, error, trace)


def _always(render: Processor) -> Processor:
    """Write of a line that cannot be rendered what can be: a value that nobody can read must not end the work it tells of."""

    def rendered(logger: WrappedLogger, method: str, event: EventDict) -> ProcessorReturnValue:
        named = str(event.get("event")), method
        try:
            return render(logger, method, event)
        except Exception as error:  # noqa: BLE001 whatever the value's own methods raise
            return render(logger, method, {"event": named[0], "level": named[1], "unrenderable": type(error).__name__})

    return rendered
