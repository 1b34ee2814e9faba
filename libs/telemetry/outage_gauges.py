"""The gauges of what a process waits for."""

from collections.abc import Iterable, Sequence

from libs.process.outages import OutageBoard
from libs.telemetry import metrics
from libs.telemetry.meters import Reading


def outage_readings(board: OutageBoard, dependencies: Sequence[str]) -> Iterable[Reading]:
    """Read whether each dependency is there, and how long it has been away."""
    seconds = {outage.dependency: outage.seconds for outage in board.outages()}
    for name in dependencies:
        yield Reading(metrics.DEPENDENCY_UP, (name,), name not in seconds)
        yield Reading(metrics.OUTAGE_SECONDS, (name,), seconds.get(name, 0.0))
