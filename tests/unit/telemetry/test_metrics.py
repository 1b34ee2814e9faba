"""The catalogue follows Prometheus's conventions, bounds every label, and is what the documentation says."""

import re
import subprocess
from pathlib import Path

import pytest

from libs.telemetry.__main__ import PAGE, page_with_table
from libs.telemetry.declaring import Kind, Metric
from libs.telemetry.meters import Meters, Reading
from libs.telemetry.metrics import CATALOGUE, DEPENDENCY_UP, RUN_SECONDS, TICKS
from tests.exposition import Exposition

UNITS = ("seconds", "bytes", "messages", "records", "info", "remaining", "up", "status", "unsettled", "clients")
"""How a name that is no counter may end: a unit, or what a number without one is the number of."""
MOST_VALUES = 20
"""Of a label: a series each, times those of the others."""


@pytest.mark.parametrize("metric", CATALOGUE, ids=lambda metric: metric.name)
def test_each_is_named_and_explained_as_prometheus_users_expect(metric: Metric) -> None:
    assert re.fullmatch(r"kasparro(_[a-z]+)+", metric.name)
    assert metric.name.endswith("_total") == (metric.kind is Kind.COUNTER)
    assert metric.kind is Kind.COUNTER or metric.name.endswith(UNITS)
    assert not re.search(r"_(ms|milliseconds|minutes|kb|count|sum|bucket)$", metric.name)
    assert metric.means.endswith(".")
    assert metric.advice.endswith(".")
    assert metric.services
    assert bool(metric.buckets) == (metric.kind is Kind.HISTOGRAM)
    assert list(metric.buckets) == sorted(set(metric.buckets))


@pytest.mark.parametrize("metric", CATALOGUE, ids=lambda metric: metric.name)
def test_each_label_is_a_closed_set_or_says_what_bounds_it(metric: Metric) -> None:
    for label in metric.labels:
        assert re.fullmatch(r"[a-z]+", label.name)
        assert bool(label.values) != bool(label.bounded_by), label
        assert len(label.values) <= MOST_VALUES, label
    names = [label.name for label in metric.labels]
    assert len(set(names)) == len(names)
    assert not {"asset_uid", "source_id", "run_id", "path", "error", "le", "job", "instance"} & set(names)


def test_no_two_are_the_same() -> None:
    assert len({metric.name for metric in CATALOGUE}) == len(CATALOGUE) > 25


def test_the_page_has_the_table_of_the_catalogue() -> None:
    assert Path(PAGE).read_text() == page_with_table(Path(PAGE).read_text()), "make metrics-table"


def test_nothing_outside_the_catalogue_is_named_in_the_code() -> None:
    """Who makes an instrument takes it from the catalogue: no name stands anywhere else."""
    found = subprocess.run(
        ["git", "grep", "-hoE", r"kasparro(_[a-z]+)+_(total|seconds|bytes|info)\b", "--", "libs", "services"],
        capture_output=True,
        text=True,
        check=False,
    )
    named = {re.sub(r"_(bucket|count|sum)$", "", name) for name in found.stdout.split()}
    assert named <= {metric.name for metric in CATALOGUE}


def test_what_is_counted_and_read_comes_out_in_both_formats() -> None:
    meters = Meters("normalizer", "1.2.3")
    ticks, seconds = meters.counter(TICKS), meters.histogram(RUN_SECONDS)
    ticks.labels("csv", "stored").inc(3)
    seconds.labels("csv").observe(7)
    meters.read_by(lambda: [Reading(DEPENDENCY_UP, ("kafka",), value=False)])
    text, content_type = meters.exposition("")
    assert content_type.startswith("text/plain; version=")
    told = Exposition(text.decode())
    assert told.value("kasparro_ticks_total", source="csv", outcome="stored") == 3
    assert told.value("kasparro_run_seconds_bucket", source="csv", le="10.0") == 1
    assert told.value("kasparro_run_seconds_bucket", source="csv", le="5.0") == 0
    assert told.value("kasparro_dependency_up", dependency="kafka") == 0
    assert told.value("kasparro_build_info", service="normalizer", version="1.2.3") == 1
    assert told.value("process_open_fds")
    assert not [name for name, _ in told.samples if name.endswith("_created")]
    openmetrics, content_type = meters.exposition("application/openmetrics-text; version=1.0.0")
    assert content_type.startswith("application/openmetrics-text")
    assert openmetrics.endswith(b"# EOF\n")


def test_two_sets_of_instruments_know_nothing_of_each_other() -> None:
    one, other = Meters("query", "1"), Meters("query", "1")
    one.counter(TICKS).labels("csv", "stored").inc()
    other.counter(TICKS).labels("csv", "stored")
    assert b'outcome="stored",source="csv"} 0.0' in other.exposition("")[0]


def test_an_instrument_of_another_kind_than_declared_is_refused() -> None:
    with pytest.raises(TypeError, match="kasparro_ticks_total is declared as a counter"):
        Meters("query", "1").histogram(TICKS)
    meters = Meters("query", "1")
    meters.read_by(lambda: [Reading(TICKS, ("csv", "stored"), 1)])
    with pytest.raises(TypeError, match="kasparro_ticks_total"):
        meters.exposition("")
