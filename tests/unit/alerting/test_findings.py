"""What is wrong, and what cannot be told."""

import pytest

from libs.alerting.findings import ConsumerSeen, DependencySeen, Finding, Limits, Snapshot, SourceSeen, findings_of

LIMITS = Limits(failed_runs=3, dead_letters=10, grace_seconds=60)
UP, DOWN = DependencySeen(up=True), DependencySeen(up=False, error="connection refused")
BOTH_UP = {"postgres": UP, "kafka": UP}
STALLED = ConsumerSeen("normalizer", "stalled", lag_messages=12, still_seconds=181.4, members=1)


def found(snapshot: Snapshot) -> dict[str, Finding]:
    return {finding.key: finding for finding in findings_of(snapshot, LIMITS)}


@pytest.mark.parametrize(("failures", "is_bad"), [(0, False), (2, False), (3, True), (100, True)])
def test_a_source_fails_from_as_many_runs_in_a_row_on(failures: int, *, is_bad: bool) -> None:
    finding = found(Snapshot(BOTH_UP, sources={"csv": SourceSeen(failures, "no such file")}))["source-failing/csv"]
    assert finding.is_bad is is_bad
    assert "no such file" in finding.words


@pytest.mark.parametrize(("letters", "is_bad"), [(0, False), (1, None), (9, None), (10, True)])
def test_letters_rise_from_the_limit_on_and_are_over_at_none(letters: int, *, is_bad: bool | None) -> None:
    assert found(Snapshot(BOTH_UP, letters={"csv": letters}))["dead-letters-rising/csv"].is_bad is is_bad


@pytest.mark.parametrize(("status", "is_bad"), [("idle", False), ("moving", False), ("unknown", None), ("stalled", True)])
def test_a_consumer_is_judged_by_its_progress(status: str, *, is_bad: bool | None) -> None:
    seen = ConsumerSeen("normalizer", status)  # type: ignore[arg-type] # a case
    assert found(Snapshot(BOTH_UP, seen))["consumer-stalled/normalizer"].is_bad is is_bad


def test_that_nobody_consumes_is_said_as_that() -> None:
    stalled = found(Snapshot(BOTH_UP, STALLED))["consumer-stalled/normalizer"]
    nobody = found(Snapshot(BOTH_UP, ConsumerSeen("normalizer", "stalled", 12, 200, members=0)))["consumer-stalled/normalizer"]
    assert "committed nothing for 181 s although 12 messages wait" in stalled.words
    assert "no member" in nobody.words


def test_a_consumer_that_waits_for_postgres_is_no_incident_of_its_own() -> None:
    seen = found(Snapshot({"postgres": DOWN, "kafka": UP}, STALLED))
    assert seen["consumer-stalled/normalizer"].is_bad is None
    assert seen["dependency-away/postgres"].is_bad is True
    assert "connection refused" in seen["dependency-away/postgres"].words


def test_while_kafka_is_away_only_dependencies_are_judged() -> None:
    everything = Snapshot({"postgres": UP, "kafka": DOWN}, STALLED, {"csv": SourceSeen(9)}, {"csv": 99})
    assert {key: finding.is_bad for key, finding in found(everything).items()} == {
        "dependency-away/postgres": False,
        "dependency-away/kafka": True,
    }


def test_what_could_not_be_looked_at_is_not_judged() -> None:
    assert set(found(Snapshot(BOTH_UP))) == {"dependency-away/postgres", "dependency-away/kafka"}
