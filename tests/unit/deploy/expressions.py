"""What a PromQL expression asks for, held against what we tell."""

import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import promql_parser
import yaml

from libs.telemetry.declaring import Kind
from libs.telemetry.metrics import CATALOGUE

PROMETHEUS = Path("deploy/prometheus")
RULE_FILES = sorted(PROMETHEUS.glob("rules/*.yml"))
OWN_LABELS = {"job", "instance"}
"""Prometheus puts them on everything that it scrapes."""
ITS_OWN = {
    "up": OWN_LABELS,
    "ALERTS": {"alertname", "alertstate", "severity", *OWN_LABELS},
    "process_resident_memory_bytes": OWN_LABELS,
}
SUFFIXES = ("_bucket", "_count", "_sum")


def rules() -> list[dict[str, Any]]:
    """Every rule, recording or alert."""
    read = [yaml.safe_load(path.read_text()) for path in RULE_FILES]
    return [rule for file in read for group in file["groups"] for rule in group["rules"]]


def alerts() -> list[dict[str, Any]]:
    return [rule for rule in rules() if "alert" in rule]


def recorded() -> dict[str, str]:
    return {rule["record"]: rule["expr"] for rule in rules() if "record" in rule}


def selectors(expression: str) -> Iterator[promql_parser.VectorSelector]:
    """Every metric that an expression asks for. Raises ValueError when it does not parse."""
    found: list[promql_parser.VectorSelector] = []

    def visit(node: promql_parser.Expr) -> None:
        if isinstance(node, promql_parser.VectorSelector):
            found.append(node)

    promql_parser.walk(promql_parser.parse(expression), visit)
    yield from found


def complaints(expression: str) -> list[str]:
    """Say what an expression asks for that nobody tells."""
    return [said for selector in selectors(expression) for said in _complaints(selector)]


def _complaints(selector: promql_parser.VectorSelector) -> Iterator[str]:
    name, matchers = str(selector.name), selector.matchers.matchers
    if name in recorded():
        return
    if name in ITS_OWN:
        known: dict[str, frozenset[str]] = dict.fromkeys(ITS_OWN[name], frozenset())
    else:
        metric = next((one for one in CATALOGUE if name in names_of(one.name, one.kind)), None)
        if metric is None:
            yield f"{name} is told by nobody"
            return
        known = {label.name: label.values for label in metric.labels} | dict.fromkeys(OWN_LABELS, frozenset())
        if metric.kind is Kind.HISTOGRAM:
            known["le"] = frozenset(f"{bound:g}" for bound in metric.buckets) | {"+Inf"}
    for matcher in matchers:
        if matcher.name not in known:
            yield f"{name} has no label {matcher.name}"
        elif known[matcher.name] and not any(_fits(matcher, value) for value in known[matcher.name]):
            yield f"{name}: no {matcher.name} is {matcher.value}"


def names_of(name: str, kind: Kind) -> set[str]:
    """The series of a metric."""
    return {name + suffix for suffix in SUFFIXES} if kind is Kind.HISTOGRAM else {name}


def _fits(matcher: promql_parser.Matcher, value: str) -> bool:
    is_pattern = matcher.op == promql_parser.MatchOp.Re or matcher.op == promql_parser.MatchOp.NotRe  # noqa: PLR1714 - unhashable
    return bool(re.fullmatch(matcher.value, value)) if is_pattern else matcher.value == value
