"""What the API counts and times of each request; a few microseconds of it (docs/metrics.md says how many)."""

from typing import Final

from prometheus_client import Counter, Histogram

from libs.telemetry import labels, metrics
from libs.telemetry.meters import Meters

ABANDONED: Final = 499
"""nginx's number for a caller who did not wait for the answer."""


class Measures:
    """The instruments of requests and of the stream.

    Their series are kept at hand: to find one by its labels costs as much as to count.
    """

    def __init__(self, meters: Meters) -> None:
        self._requests = meters.counter(metrics.HTTP_REQUESTS)
        self._seconds = meters.histogram(metrics.HTTP_REQUEST_SECONDS)
        streamed = [meters.counter(one) for one in (metrics.STREAM_EVENTS, metrics.STREAM_SKIPPED, metrics.STREAM_BYTES)]
        self._streamed = {name: [counter.labels(name) for counter in streamed] for name in labels.TRANSPORT.values}
        self._held: dict[tuple[str, str | None, int], tuple[Counter, Histogram]] = {}

    def answered(self, method: str, route: str | None, status: int, seconds: float) -> None:
        """Count a request by its route as declared, None for a path that is no route. A method may be any word."""
        method = method if method in labels.METHOD.values else "other"
        held = self._held.get((method, route, status))
        if held is None:
            named = route or labels.OTHER_ROUTE
            held = self._requests.labels(method, named, status), self._seconds.labels(named)
            self._held[method, route, status] = held
        count, time = held
        count.inc()
        time.observe(seconds)

    def streamed(self, transport: str, events: int, skipped: int, size: int) -> None:
        """Count what was handed to a client of the stream at once."""
        for counter, count in zip(self._streamed[transport], (events, skipped, size), strict=True):
            counter.inc(count)
