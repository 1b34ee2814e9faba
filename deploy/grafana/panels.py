"""What the dashboard shows: rows of panels, each with what it means to whoever looks at it at night.

`make dashboard` writes deploy/grafana/dashboards/kasparro.json from it; a test checks every expression against the catalogue
of metrics and the recording rules, and that the JSON is this file's.
"""

from dataclasses import dataclass
from typing import Final, Literal

Unit = Literal["s", "short", "percentunit", "bytes", "reqps", "cps", "none", "dateTimeAsIso"]
"""Grafana's names."""


@dataclass(frozen=True, slots=True)
class Panel:
    """One panel. `queries` by legend; `alarming` is from where on a single value is red."""

    title: str
    means: str
    unit: Unit
    queries: dict[str, str]
    kind: Literal["stat", "timeseries", "table"] = "timeseries"
    width: int = 8
    alarming: float | None = None
    stacked: bool = False


@dataclass(frozen=True, slots=True)
class Row:
    """A row under a title."""

    title: str
    panels: tuple[Panel, ...]


def stat(title: str, means: str, unit: Unit, expression: str, *, legend: str = "", alarming: float | None = None) -> Panel:
    """A value, or one a label."""
    return Panel(title, means, unit, {legend: expression}, "stat", 4, alarming)


def _quantile(quantile: float, metric: str, *by: str) -> str:
    """Over 15 minutes: runs are 5 apart unless told otherwise, and in between a shorter time has nothing to tell, so no line."""
    return f"histogram_quantile({quantile}, sum by ({', '.join(('le', *by))}) (rate({metric}_bucket[15m])))"


_READS: Final = 'route=~"/(data|stats).*"'

ROWS: Final = (
    Row(
        "Overview",
        (
            stat(
                "Oldest source",
                "How long ago the source that is worst off last succeeded. More than three intervals: see Sources.",
                "s",
                "max(source:kasparro_source_age:seconds)",
                alarming=900,
            ),
            stat(
                "Messages to apply",
                "What is published and not applied yet, over all topics. It falls back to 0 after each run.",
                "short",
                "sum(topic:kasparro_consumer_lag_messages:sum)",
            ),
            stat(
                "Waiting since",
                "How long the oldest tick that is not applied has waited in Kafka.",
                "s",
                "max(topic:kasparro_consumer_wait_seconds:max)",
                alarming=120,
            ),
            stat(
                "Failed runs, 1 h",
                "Runs that failed within an hour; /stats has the error of each.",
                "short",
                'sum(increase(kasparro_runs_total{outcome="failed"}[1h])) or vector(0)',
                alarming=3,
            ),
            stat(
                "Month's quota left",
                "Requests that the tightest plan still allows until the 1st. No data: no plan has a limit.",
                "short",
                "min(source:kasparro_provider_quota_remaining_month:min)",
            ),
            stat(
                "Dead letters waiting",
                "Records that were set aside, and neither sent back nor dropped since: `kasparro dead-letters`.",
                "short",
                "max(kasparro_dead_letters_unsettled)",
                alarming=1,
            ),
            Panel(
                "Alerts",
                "Alerts that fire now. docs/operations.md has a section for each.",
                "none",
                {"": 'ALERTS{alertstate="firing", alertname=~"Kasparro.*"}'},
                "table",
                16,
            ),
            Panel(
                "Dependencies",
                "1: Kafka or Postgres answers all processes. 0: at least one does not reach it, and waits.",
                "short",
                {"{{dependency}}": "min by (dependency) (kasparro_dependency_up)"},
            ),
        ),
    ),
    Row(
        "Sources and producers",
        (
            Panel(
                "Age of the last success",
                "A saw: it falls to 0 with each run that succeeds. One that only rises fails, or nobody runs it.",
                "s",
                {"{{source}}": 'source:kasparro_source_age:seconds{source=~"$source"}'},
            ),
            Panel(
                "Runs by how they ended",
                "Per hour. Failed ones have their error in /stats.",
                "short",
                {"{{source}} {{outcome}}": 'sum by (source, outcome) (increase(kasparro_runs_total{source=~"$source"}[1h]))'},
            ),
            Panel(
                "Duration of a run, p95",
                "From the request for a run to its last tick in Postgres. Longer than the interval: too little quota.",
                "s",
                {"{{source}}": _quantile(0.95, "kasparro_run_seconds", "source")},
            ),
            Panel(
                "Rows by what became of them",
                "Per second: published as ticks, unchanged since they were last published, or set aside as no listing.",
                "cps",
                {
                    "{{source}} {{outcome}}": "sum by (source, outcome) "
                    '(rate(kasparro_listings_total{source=~"$source"}[$__rate_interval]))'
                },
            ),
            Panel(
                "Requests by answer",
                "401, 403: the key. 402, 429: the plan. 5xx, timeout, unreachable: theirs, or the way there.",
                "reqps",
                {
                    "{{source}} {{status}}": "sum by (source, status) "
                    '(rate(kasparro_provider_requests_total{source=~"$source"}[$__rate_interval]))'
                },
            ),
            Panel(
                "Time of a request, p95",
                "Up to the end of the answer. Near 30 s, where requests are given up: the provider is overloaded.",
                "s",
                {"{{source}}": _quantile(0.95, "kasparro_provider_request_seconds", "source")},
            ),
            Panel(
                "Quota left",
                "Requests that the plan still allows, this minute and this month.",
                "short",
                {
                    "{{source}} {{window}}": 'min by (source, window) (kasparro_provider_quota_remaining{source=~"$source"})',
                },
            ),
            Panel(
                "Time of a shard by stage, p95",
                "fetch: the provider, and waiting for its quota. publish: reading the answer, and one Kafka transaction.",
                "s",
                {"{{source}} {{stage}}": _quantile(0.95, "kasparro_poll_stage_seconds", "source", "stage")},
            ),
            Panel(
                "Dead letters by reason",
                "Records set aside within 15 minutes. One reason of one source: its shape has changed.",
                "short",
                {"{{source}} {{reason}}": "sum by (source, reason) (increase(kasparro_dead_letters_total[15m]))"},
            ),
        ),
    ),
    Row(
        "Normalizer",
        (
            Panel(
                "Messages to apply, by topic",
                "Offsets from the oldest record that is not applied to the end of the topic.",
                "short",
                {"{{topic}}": "topic:kasparro_consumer_lag_messages:sum"},
            ),
            Panel(
                "Age of the oldest tick to apply",
                "By event time: how old what readers get is. Rows of a file are years old when they come.",
                "s",
                {"{{topic}}": 'topic:kasparro_consumer_lag_seconds:max{topic!="ticks.raw.csv"}'},
            ),
            Panel(
                "Standing still",
                "How long a partition with something to apply has not moved. Above 180 s it is stalled.",
                "s",
                {"{{topic}}": "topic:kasparro_consumer_still_seconds:max"},
            ),
            Panel(
                "Ticks by what became of them",
                "Per second. Many duplicates: a replay, or a producer that forgot what it had published.",
                "cps",
                {"{{source}} {{outcome}}": "source_outcome:kasparro_ticks:rate5m"},
                stacked=True,
            ),
            Panel(
                "Time of a chunk by stage, p95",
                "store: Postgres. publish: Kafka. read: processors, or more normalizers. wait: for the transaction before.",
                "s",
                {"{{stage}}": _quantile(0.95, "kasparro_chunk_stage_seconds", "stage")},
            ),
            Panel(
                "Ticks in a chunk, median",
                "Always near CHUNK_RECORDS: it works at its limit.",
                "short",
                {"ticks": _quantile(0.5, "kasparro_chunk_records")},
            ),
            Panel(
                "Assets published",
                "Records to assets.normalized, per second.",
                "cps",
                {"assets": "sum(rate(kasparro_assets_published_total[$__rate_interval]))"},
            ),
            Panel(
                "Health of workers",
                "How many say so of themselves. stalled: look at the log, then restart it.",
                "short",
                {"{{status}}": "sum by (status) (kasparro_health_status)"},
                stacked=True,
            ),
            Panel(
                "Bytes in a chunk, p95",
                "Always near CHUNK_BYTES while there are few ticks: rows are large.",
                "bytes",
                {"bytes": _quantile(0.95, "kasparro_chunk_bytes")},
            ),
        ),
    ),
    Row(
        "API",
        (
            Panel(
                "Requests by route",
                "Answers per second, reads of data and statistics.",
                "reqps",
                {"{{route}}": f"sum by (route) (rate(kasparro_http_requests_total{{{_READS}}}[$__rate_interval]))"},
            ),
            Panel(
                "Errors",
                "Share of 5xx among reads. The objective is 0.1 % over 30 days.",
                "percentunit",
                {"5 min": "kasparro_http_errors:ratio_rate5m", "1 h": "kasparro_http_errors:ratio_rate1h"},
            ),
            Panel(
                "Time of an answer, p99",
                "The objective is 99 % within 250 ms. POST /etl/run waits for the run and is not among them.",
                "s",
                {
                    "{{route}}": "histogram_quantile(0.99, sum by (le, route) "
                    f"(rate(kasparro_http_request_seconds_bucket{{{_READS}}}[$__rate_interval])))"
                },
            ),
            Panel(
                "Answers by status",
                "Of every route, per second. 500: a bug. 503: see Dependencies. 502, 504 of POST: the provider, or no producer.",
                "reqps",
                {"{{status}}": "sum by (status) (rate(kasparro_http_requests_total[$__rate_interval]))"},
                stacked=True,
            ),
            Panel(
                "Processes by version",
                "More than one version for longer than an upgrade takes: look at the roll-out.",
                "short",
                {"{{service}} {{version}}": "count by (service, version) (kasparro_build_info)"},
                stacked=True,
            ),
            Panel(
                "Memory of each process",
                "Resident bytes, by the process's own account.",
                "bytes",
                {
                    "{{service}} {{instance}}": "process_resident_memory_bytes "
                    "* on (job, instance) group_left (service) kasparro_build_info"
                },
            ),
        ),
    ),
)
