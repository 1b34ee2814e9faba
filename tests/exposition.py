"""What a /metrics answers, read with Prometheus's own parser."""

from collections.abc import Mapping

from prometheus_client.parser import text_string_to_metric_families


class Exposition:
    """The samples of one scrape."""

    def __init__(self, text: str) -> None:
        families = list(text_string_to_metric_families(text))
        self.samples = {
            (sample.name, frozenset(sample.labels.items())): sample.value for family in families for sample in family.samples
        }

    def value(self, name: str, **labels: str) -> float | None:
        """Return a sample, None when it is not there."""
        return self.samples.get((name, frozenset(labels.items())))

    def all_of(self, name: str) -> list[tuple[Mapping[str, str], float]]:
        """Return every series of a name."""
        return [(dict(labels), value) for (sample, labels), value in self.samples.items() if sample == name]
