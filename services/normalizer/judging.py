"""Whether a run that has succeeded is like those of its source before it. What is unusual is told, and stops nothing."""

import structlog

from libs.contracts.run_events import PriceMoves, RunAnomaly
from libs.domain.anomalies import RunFacts, anomalies_of, moves_of
from libs.postgres.reading.run_history import load_history
from libs.postgres.writing.runs import PublishedRun
from services.normalizer.outlets import Outlets

log = structlog.get_logger(__name__)

Judgement = tuple[PriceMoves | None, tuple[RunAnomaly, ...]]


async def judge(outlets: Outlets, run: PublishedRun) -> Judgement:
    """Compare a run with the history in Postgres. Its end tells of it, so whoever reads that again reads the same."""
    history, last_began_at = await outlets.through_postgres(lambda: load_history(outlets.pool, run.source))
    moves, totals = moves_of(run.moves), run.totals
    pause = None if last_began_at is None else (run.began_at - last_began_at).total_seconds()
    found = anomalies_of(RunFacts(totals.fetched, totals.unchanged + totals.duplicate, moves, pause), history)
    told = None if moves is None else PriceMoves(**moves._asdict())
    return told, tuple(RunAnomaly(**anomaly._asdict()) for anomaly in found)


def tell_anomalies(source: str, run_id: str, anomalies: tuple[RunAnomaly, ...]) -> None:
    """Say it once, when the run's end has been committed."""
    if anomalies:
        unusual = {anomaly.kind: anomaly.words for anomaly in anomalies}
        log.warning("run_anomalous", source=source, run_id=run_id, **unusual)
