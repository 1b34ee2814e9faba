"""Alert rules ask for what is told, say what to do, and are tested; promtool itself runs them where it is (make test-alerts)."""

import re
from pathlib import Path
from typing import Any

import pytest
import yaml

from libs.alerting.findings import Kind
from tests.unit.deploy.expressions import PROMETHEUS, alerts, complaints, recorded, rules

OPERATIONS = Path("docs/operations.md")
TESTS = sorted(PROMETHEUS.glob("tests/*.yml"))
SEVERITIES = {"critical", "warning", "info"}


def anchors() -> set[str]:
    """The sections of the runbook, as a browser names them."""
    headings = re.findall(r"^#+ (.+)$", OPERATIONS.read_text(), flags=re.MULTILINE)
    return {re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-") for heading in headings}


@pytest.mark.parametrize("rule", rules(), ids=lambda rule: rule.get("alert") or rule["record"])
def test_a_rule_parses_and_asks_only_for_what_is_told(rule: dict[str, Any]) -> None:
    assert complaints(rule["expr"]) == []


def test_what_nobody_tells_is_found() -> None:
    assert complaints("kasparro_nothing_total") == ["kasparro_nothing_total is told by nobody"]
    assert complaints('kasparro_runs_total{outcome="won"}') == ["kasparro_runs_total: no outcome is won"]
    assert complaints('kasparro_runs_total{asset="btc"}') == ["kasparro_runs_total has no label asset"]
    assert complaints('rate(kasparro_http_request_seconds_bucket{le="0.3"}[5m])')
    with pytest.raises(ValueError, match="unclosed"):
        complaints("sum by (source (kasparro_runs_total)")


@pytest.mark.parametrize("rule", alerts(), ids=lambda rule: rule["alert"])
def test_an_alert_says_how_bad_it_is_what_is_wrong_and_where_what_to_do_stands(rule: dict[str, Any]) -> None:
    assert rule["labels"]["severity"] in SEVERITIES
    assert rule["annotations"]["summary"]
    assert rule["annotations"]["description"]
    page, _, anchor = rule["annotations"]["runbook_url"].partition("#")
    assert page == str(OPERATIONS)
    assert anchor in anchors(), f"docs/operations.md has no section {anchor}"
    told = OPERATIONS.read_text()
    assert f"`{rule['alert']}`" in told, "its section must name it"


@pytest.mark.parametrize("kind", list(Kind))
def test_each_incident_that_slack_is_told_of_has_its_section(kind: Kind) -> None:
    assert kind.value in anchors()


def test_alerts_and_records_have_names_of_their_own() -> None:
    names = [rule["alert"] for rule in alerts()]
    assert len(names) == len(set(names))
    assert len(recorded()) == len(rules()) - len(names)


def test_every_alert_has_a_case_in_which_it_fires() -> None:
    told = "\n".join(path.read_text() for path in TESTS)
    for rule in alerts():
        assert re.search(rf"\b{rule['alert']}\b", told), f"no test of {rule['alert']}"


@pytest.mark.parametrize("path", TESTS, ids=lambda path: path.stem)
def test_a_rule_test_feeds_only_series_that_are_told(path: Path) -> None:
    read = yaml.safe_load(path.read_text())
    assert [str((path.parent / file).resolve().relative_to(Path.cwd())) for file in read["rule_files"]] == [
        "deploy/prometheus/rules/recording.yml",
        "deploy/prometheus/rules/alerts.yml",
    ]
    for test in read["tests"]:
        for series in test["input_series"]:
            assert complaints(series["series"]) == []
        for asked in test.get("promql_expr_test", ()):
            assert complaints(asked["expr"]) == []


def test_prometheus_is_told_of_every_process_and_of_the_rules() -> None:
    read = yaml.safe_load((PROMETHEUS / "prometheus.yml").read_text())
    assert read["rule_files"] == ["rules/*.yml"]
    discovered = [one for job in read["scrape_configs"] for one in job.get("dns_sd_configs", ())]
    ports = {name: one["port"] for one in discovered for name in one["names"]}
    from libs.contracts.topics import SOURCE_TOPICS

    assert ports == {"query": 8000, "normalizer": 8081, **{f"producer-{source}": 8082 for source in SOURCE_TOPICS}}
