"""What drifts and what is unusual is counted by kind, from 0 on."""

from datetime import UTC, datetime
from uuid import UUID

from libs.contracts.run_events import RunAnomaly, RunSucceeded, RunTotals
from libs.domain.anomalies import AnomalyKind
from libs.domain.shapes import DriftKind, FieldDrift
from libs.postgres.writing.runs import PublishedRun
from libs.process.clock import SystemClock
from libs.producing.measures import Measures as ProducerMeasures
from libs.telemetry.meters import Meters
from services.normalizer.measures import Measures

NOW, RUN = datetime(2026, 1, 1, tzinfo=UTC), UUID(int=1)


def counted(meters: Meters, name: str) -> dict[str, float]:
    samples = [sample for family in meters.registry.collect() for sample in family.samples if sample.name == name]
    return {sample.labels["kind"]: sample.value for sample in samples if sample.labels["source"] == "csv"}


def test_each_field_that_drifts_is_counted() -> None:
    meters = Meters("producer-csv", "test")
    measures = ProducerMeasures(meters, "csv", SystemClock())
    assert counted(meters, "kasparro_schema_drift_total") == {"new": 0, "missing": 0, "retyped": 0}
    measures.drifted([FieldDrift(DriftKind.NEW, name, (), ("text",)) for name in ("a", "b")])
    measures.drifted([FieldDrift(DriftKind.MISSING, "c", ("text",), ())])
    assert counted(meters, "kasparro_schema_drift_total") == {"new": 2, "missing": 1, "retyped": 0}


def test_each_anomaly_of_a_run_is_counted() -> None:
    meters = Meters("normalizer", "test")
    measures = Measures(meters)
    run = PublishedRun(RUN, "csv", {}, (), RunTotals(), NOW)
    odd = RunAnomaly(kind=AnomalyKind.ROW_COUNT, value=1, expected=100, words="1 rows, usually 100")
    measures.run_ended(run, RunSucceeded(run_id=RUN, source="csv", at=NOW, totals=RunTotals(), anomalies=(odd,)))
    measures.run_ended(run, RunSucceeded(run_id=RUN, source="csv", at=NOW, totals=RunTotals()))
    assert counted(meters, "kasparro_run_anomalies_total") == dict.fromkeys(AnomalyKind, 0) | {"row_count": 1}
