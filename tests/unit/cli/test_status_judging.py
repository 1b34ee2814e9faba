"""What `kasparro status` calls wrong, what it only mentions, and that its tables say what there is."""

import io
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

import msgspec
import pytest
from rich.console import Console

from services.cli.screen import Screen
from services.cli.status.answers import (
    Anomaly,
    Checkpoint,
    Checkpoints,
    Consumer,
    DeadLetters,
    Dependency,
    Drift,
    FieldDrift,
    Found,
    Gap,
    Gaps,
    Health,
    Incident,
    Incidents,
    LetterClass,
    Partition,
    Quota,
    QuotaWindow,
    Run,
    Runs,
    Schedule,
    Source,
    Sources,
)
from services.cli.status.judging import worth_a_look, wrong_in
from services.cli.status.sections import gap_words, tables_of
from services.cli.tables import Tone

AT = datetime(2026, 1, 2, 3, 4, 5, tzinfo=UTC)
UP = Dependency("up", AT - timedelta(hours=2), None)
MINUTES_AGO = AT - timedelta(minutes=4)


def run(status: str = "succeeded", **fields: Any) -> Run:
    told: dict[str, Any] = {
        "trigger": "schedule",
        "counts": {"fetched": 3},
        "duration_ms": 12,
        "error": None,
        "finished_at": MINUTES_AGO,
    }
    return Run(run_id="r", source="csv", status=status, requested_at=None, started_at=None, **(told | fields))


def source(**fields: Any) -> Source:
    told: dict[str, Any] = {"runs_here": True, "last_run": run(), "last_success": run(), "drift": Drift([])}
    return Source(source="csv", listings=2, assets=1, freshness_seconds=9.0, **(told | fields))


def partition(number: int = 0, lag: int = 0, status: str = "idle", *, grew: bool = False) -> Partition:
    return Partition(number, lag, status, 200.0 if status == "stalled" else 0.0, grew)


def checkpoint(*partitions: Partition) -> Checkpoint:
    status = "stalled" if any(one.status == "stalled" for one in partitions) else "idle"
    return Checkpoint("csv", sum(one.lag_messages for one in partitions), 90.0, status, 200.0, list(partitions))


WELL = Found(
    health=Health("ok", "1.2.3", 60.0, False, {"postgres": UP, "kafka": UP}, Consumer("idle", 0.0, 0)),
    sources=Sources([source()]),
    checkpoints=Checkpoints("normalizers", 1, [checkpoint(partition())]),
    runs=Runs([run()]),
    dead_letters=DeadLetters([]),
    gaps=Gaps([]),
    incidents=Incidents([]),
    bodies={},
    unavailable={},
    at=AT,
)
DOWN = Dependency("down", AT - timedelta(minutes=7), "no answer")
UNMIGRATED = Dependency("up", AT, "2 migrations are missing")
INCIDENT = Incident("source-failing", "csv", MINUTES_AGO, None, "It failed.", "Look.", "docs/operations.md#source-failing")


def health(**fields: Any) -> Health:
    return msgspec.structs.replace(WELL.health, **fields)


def test_all_is_well() -> None:
    assert (wrong_in(WELL), worth_a_look(WELL)) == ([], [])


@pytest.mark.parametrize(
    ("found", "words"),
    [
        (replace(WELL, health=health(dependencies={"kafka": DOWN})), "kafka is down since 7 min: no answer"),
        (replace(WELL, health=health(dependencies={"postgres": UNMIGRATED})), "postgres is of no use: 2 migrations"),
        (replace(WELL, health=health(status="degraded")), "calls itself degraded"),
        (
            replace(WELL, checkpoints=None, unavailable={"checkpoints": "kafka_unavailable: x"}),
            "checkpoints: cannot be told now, kafka_un",
        ),
        (
            replace(WELL, checkpoints=Checkpoints("normalizers", 0, [])),
            "nobody consumes: no normalizer is in the group normalizers",
        ),
        (
            replace(WELL, checkpoints=Checkpoints("g", 1, [checkpoint(partition(), partition(4, 7, "stalled"))])),
            "has 7 ticks of csv to read and has committed none for 3 min (partition 4)",
        ),
        (
            replace(WELL, sources=Sources([source(last_run=run("failed", error="402"))])),
            "csv: its last run failed 4 min ago: 402",
        ),
        (
            replace(WELL, sources=Sources([source(schedule=Schedule(300.0, AT - timedelta(minutes=7)))])),
            "csv: a run has been due for 7 min",
        ),
        (replace(WELL, incidents=Incidents([INCIDENT])), "source-failing csv, open since 4 min: It failed. Look. See docs/"),
    ],
)
def test_what_somebody_has_to_mend_is_wrong_and_named(found: Found, words: str) -> None:
    (told,) = wrong_in(found)
    assert words in told


def test_a_source_that_does_not_run_here_and_an_incident_that_is_over_are_not_wrong() -> None:
    asleep = source(runs_here=False, last_run=run("failed"), last_success=None)
    over = msgspec.structs.replace(INCIDENT, closed_at=AT)
    found = replace(WELL, sources=Sources([asleep]), incidents=Incidents([over]))
    assert (wrong_in(found), worth_a_look(found)) == ([], [])


def test_what_may_wait_until_the_morning_is_told_and_not_wrong() -> None:
    drifted = FieldDrift("new", "a.b", [], ["string"], MINUTES_AGO)
    unusual = source(
        last_run=run("skipped", error="no file"),
        last_success=run(anomalies=[Anomaly("row_count", "3 rows")]),
        drift=Drift([drifted]),
    )
    missed = Gap("runs_missed", "csv", MINUTES_AGO, runs=2, first_due=AT, last_due=AT)
    old = Gap("runs_missed", "csv", AT - timedelta(days=2), runs=2, first_due=AT, last_due=AT)
    letters = DeadLetters([LetterClass("csv", "missing_symbol", 1_200, MINUTES_AGO), LetterClass(None, "nul_character", 0, AT)])
    found = replace(WELL, sources=Sources([unusual]), gaps=Gaps([missed, old]), dead_letters=letters)
    assert wrong_in(found) == []
    told = "\n".join(worth_a_look(found))
    for words in ("1,200 dead letters", "1 gaps", "skipped: no file", "unusual: 3 rows", "1 fields"):
        assert words in told
    cells = "\n".join("  ".join(cell.text for cell in row) for table in tables_of(found) for row in table.rows)
    for words in ("missing_symbol", "2 runs from 2026-01-02 03:04:05", "a.b: nothing -> string", "3 rows"):
        assert words in cells
    assert "nul_character" not in cells


def test_a_source_that_has_never_run_is_not_called_well() -> None:
    found = replace(WELL, sources=Sources([source(last_run=None, last_success=None)]))
    assert wrong_in(found) == []
    assert worth_a_look(found) == ["csv: no run of it is recorded yet; does its producer run?"]


def test_what_is_wrong_is_one_line_whatever_a_provider_says() -> None:
    paper = io.StringIO()
    Screen(Console(file=paper)).judge("wrong", "its last run failed: 402\nok     all is well", Tone.WRONG)
    assert paper.getvalue() == "wrong  its last run failed: 402\\nok     all is well\n"


def test_lag_is_told_for_each_partition_with_whether_it_moves() -> None:
    lagging = checkpoint(partition(0), partition(1, 70, "moving"), partition(2, 7, "stalled", grew=True))
    tables = tables_of(replace(WELL, checkpoints=Checkpoints("g", 2, [lagging])))
    (table,) = [each for each in tables if each.title.startswith("lag")]
    assert [cell.text for cell in table.rows[0]] == ["csv", "stalled", "77", "1 min", "0", "70 moving", "7▲ stalled"]
    assert "2 normalizers read" in table.title


def test_a_schedule_that_is_kept_and_a_quota_that_lasts_are_shown_alone() -> None:
    quota = Quota(QuotaWindow(30, 28), QuotaWindow(10_000, 9_000), None)
    found = replace(WELL, sources=Sources([source(schedule=Schedule(300.0, AT - timedelta(minutes=5)), quota=quota)]))
    assert (wrong_in(found), worth_a_look(found)) == ([], [])
    (table,) = [each for each in tables_of(found) if each.title == "sources"]
    cells = [cell.text for cell in table.rows[0]]
    assert {"due", "28/30 a minute, 9,000/10,000 a month"} <= set(cells)
    soon = replace(WELL, sources=Sources([source(schedule=Schedule(300.0, AT + timedelta(minutes=3)))]))
    assert "in 3 min" in [cell.text for table in tables_of(soon) for row in table.rows for cell in row]


def test_a_quota_that_runs_out_and_a_provider_that_refuses_are_worth_a_look() -> None:
    found = replace(WELL, sources=Sources([source(quota=Quota(None, QuotaWindow(10_000, 500), AT + timedelta(minutes=2)))]))
    assert worth_a_look(found) == [
        "csv: of the month's 10,000 requests 500 are left",
        "csv: its provider wants to be left alone for 2 min",
    ]


def test_a_kind_that_a_later_api_tells_of_is_shown_as_far_as_it_goes() -> None:
    later = Gap("eaten_by_mice", None, MINUTES_AGO)
    assert gap_words(later) == ""
    assert list(tables_of(replace(WELL, gaps=Gaps([later]), health=health(status="sleepy"))))
    assert (
        gap_words(Gap("offsets_lost", "csv", AT, topic="t", partition=3, from_offset=5, to_offset=9))
        == "t partition 3: offsets 5 to 9"
    )
    assert gap_words(Gap("shard_failed", "csv", AT, shard="2", error="429")) == "shard 2: 429"
