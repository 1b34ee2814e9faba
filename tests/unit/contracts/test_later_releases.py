"""A release tells of kinds that the one before it does not know, and reads it all the same: both run while one is rolled out."""

from typing import Any
from uuid import UUID

from libs.contracts.run_events import RUN_EVENT, RunSucceeded, ShardPublished

OF: dict[str, Any] = {"run_id": str(UUID(int=1)), "source": "csv", "at": "2026-11-29T12:00:00Z"}
LATER = "of_a_later_release"


def test_an_anomaly_of_a_later_kind_is_read() -> None:
    anomaly = {"kind": LATER, "value": 1, "expected": 2, "words": "odd", LATER: 3}
    moves = {"compared": 1, "median_percent": 1, "large_share": 0, LATER: 3}
    event = RUN_EVENT.validate_python(
        {**OF, "event": "succeeded", "totals": {LATER: 3}, "price_moves": moves, "anomalies": [anomaly]}
    )
    assert isinstance(event, RunSucceeded)
    assert [one.kind for one in event.anomalies] == [LATER]


def test_drift_of_a_later_kind_is_read() -> None:
    counts = {"fetched": 0, "unchanged": 0, "published": 0, "dead_lettered": 0}
    drift = {"kind": LATER, "field": "price", "was": [], "now": []}
    event = RUN_EVENT.validate_python(
        {**OF, "event": "shard_published", "shard": "1", "counts": counts, "last_offsets": {}, "drift": [drift]}
    )
    assert isinstance(event, ShardPublished)
    assert [one.kind for one in event.drift] == [LATER]
