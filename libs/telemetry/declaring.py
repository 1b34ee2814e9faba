"""What a metric is declared as; those that there are stand in libs/telemetry/metrics.py."""

from dataclasses import dataclass
from enum import StrEnum

from libs.telemetry.labels import Label


class Kind(StrEnum):
    """What an instrument is, in Prometheus's words."""

    COUNTER = "counter"
    GAUGE = "gauge"
    HISTOGRAM = "histogram"


class Service(StrEnum):
    """Whose `/metrics` tells it."""

    PRODUCER = "producer"
    NORMALIZER = "normalizer"
    QUERY = "query"


@dataclass(frozen=True, slots=True)
class Metric:
    """One metric. `advice` is for whoever looks at it at night; `buckets` are the upper bounds of a histogram."""

    name: str
    kind: Kind
    services: tuple[Service, ...]
    means: str
    advice: str
    labels: tuple[Label, ...] = ()
    buckets: tuple[float, ...] = ()
