"""One logging pipeline for our own lines and every library's: readable on a terminal, JSON elsewhere."""

import logging
import sys
import time
from contextlib import suppress
from functools import partial
from typing import Literal, TextIO

import structlog
from structlog.typing import EventDict, Processor, ProcessorReturnValue, WrappedLogger

QUIET = ("aiokafka", "faust", "mode", "kafka", "yoyo", "asyncio", "aiohttp.access", "opentelemetry")
"""Libraries whose INFO is about themselves; their warnings still come through."""

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
    shared: list[Processor] = [
        structlog.contextvars.merge_contextvars,
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
    structlog.contextvars.bind_contextvars(service=service)


def _rendering(*, console: bool) -> list[Processor]:
    if console:
        return [_always(structlog.dev.ConsoleRenderer(colors=sys.stderr.isatty()))]
    return [structlog.processors.format_exc_info, _always(structlog.processors.JSONRenderer())]


def _always(render: Processor) -> Processor:
    """Write of a line that cannot be rendered what can be: a value that nobody can read must not end the work it tells of."""

    def rendered(logger: WrappedLogger, method: str, event: EventDict) -> ProcessorReturnValue:
        named = str(event.get("event")), method
        try:
            return render(logger, method, event)
        except Exception as error:  # noqa: BLE001 whatever the value's own methods raise
            return render(logger, method, {"event": named[0], "level": named[1], "unrenderable": type(error).__name__})

    return rendered
