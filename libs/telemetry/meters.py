"""The instruments of one process, made from the catalogue on a registry of their own: a test makes as many as it likes."""

from collections.abc import Callable, Iterable, Sequence
from typing import NamedTuple

from prometheus_client import (
    CollectorRegistry,
    Counter,
    GCCollector,
    Histogram,
    PlatformCollector,
    ProcessCollector,
    disable_created_metrics,
)
from prometheus_client.core import GaugeMetricFamily
from prometheus_client.exposition import choose_encoder
from prometheus_client.registry import Collector

from libs.telemetry.declaring import Kind, Metric
from libs.telemetry.metrics import BUILD_INFO


class Reading(NamedTuple):
    """What a gauge reads now."""

    metric: Metric
    labels: tuple[str, ...]
    value: float


Look = Callable[[], Iterable[Reading]]
"""Reads gauges when somebody asks, off what the process knows already: it neither waits nor asks anybody."""


class Meters:
    """Counters and histograms are made once and kept by whoever counts; gauges are read by `look`s when a scrape comes."""

    def __init__(self, service: str, version: str) -> None:
        disable_created_metrics()  # type: ignore[no-untyped-call] # the birthday of each series would double their number
        self.registry = CollectorRegistry()
        for collector in (ProcessCollector, PlatformCollector, GCCollector):
            collector(registry=self.registry)
        self._looks = _Looks()
        self.registry.register(self._looks)
        self.read_by(lambda: [Reading(BUILD_INFO, (service, version), 1)])

    def counter(self, metric: Metric) -> Counter:
        """Make a counter; each at most once."""
        _check(metric, Kind.COUNTER)
        return Counter(metric.name, metric.means, _names(metric), registry=self.registry)

    def histogram(self, metric: Metric) -> Histogram:
        """Make a histogram; each at most once."""
        _check(metric, Kind.HISTOGRAM)
        return Histogram(metric.name, metric.means, _names(metric), buckets=metric.buckets, registry=self.registry)

    def read_by(self, look: Look) -> None:
        """Ask `look` for gauges at each scrape. What it does not tell of is absent."""
        self._looks.all.append(look)

    def exposition(self, accept: str) -> tuple[bytes, str]:
        """Return everything in the format that an Accept header asks for, and the content type that names it."""
        encode, content_type = choose_encoder(accept)
        return encode(self.registry), content_type


class _Looks(Collector):
    def __init__(self) -> None:
        self.all: list[Look] = []

    def describe(self) -> Iterable[GaugeMetricFamily]:
        """Say nothing: the registry would look for names that are taken, before there is anything to see."""
        return ()

    def collect(self) -> Iterable[GaugeMetricFamily]:
        families: dict[str, GaugeMetricFamily] = {}
        for look in self.all:
            for metric, labels, value in look():
                family = families.get(metric.name)
                if family is None:
                    _check(metric, Kind.GAUGE)
                    family = families[metric.name] = GaugeMetricFamily(metric.name, metric.means, labels=_names(metric))
                family.add_metric(labels, value)
        return families.values()


def _names(metric: Metric) -> Sequence[str]:
    return [label.name for label in metric.labels]


def _check(metric: Metric, kind: Kind) -> None:
    if metric.kind is not kind:
        raise TypeError(f"{metric.name} is declared as a {metric.kind}, not as a {kind}")
