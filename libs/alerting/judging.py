"""From findings to incidents, and from incidents to what is said of them: pure, so that "never a storm" can be proved.

Of each key the messages alternate: opened, over, opened, over. One that comes back within AGAIN is over only after QUIET,
so what flaps is told of at most six times an hour, and as often that it is over.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import StrEnum
from typing import Final

from libs.alerting.findings import Finding
from libs.contracts.incidents import LONGEST_WORDS, Incident

AGAIN: Final = timedelta(hours=1)
QUIET_SECONDS: Final = 600.0
OLD_NEWS: Final = timedelta(days=1)
"""What was over for so long before anybody could be told of it is not told any more."""

Book = Mapping[str, Incident]
"""The newest incident of each key."""


class Say(StrEnum):
    """A message about an incident."""

    OPENED = "opened"
    OVER = "over"
    WAS = "was"
    """It opened and was over before the first could be said: one message for both."""


@dataclass(frozen=True, slots=True)
class Judged:
    """Incidents that changed, and since when (monotonic seconds) each finding contradicts the book."""

    changed: tuple[Incident, ...]
    since: Mapping[str, float]


def judge(
    book: Book, findings: Iterable[Finding], since: Mapping[str, float], *, now: datetime, monotonic: float, page: str
) -> Judged:
    """Open and close incidents. `since` is what the last judgement returned; `page` is where the runbook's sections are."""
    changed: list[Incident] = []
    contradicting: dict[str, float] = {}
    for finding in findings:
        incident = book.get(finding.key)
        is_open = incident is not None and incident.closed_at is None
        if finding.is_bad is None or finding.is_bad == is_open:
            continue
        begun = since.get(finding.key, monotonic)
        held = monotonic - begun
        if held < _needed(finding, incident):
            contradicting[finding.key] = begun
        elif finding.is_bad:
            changed.append(_opened(finding, incident, now - timedelta(seconds=held), page))
        elif incident is not None:
            closed_at = max(incident.opened_at, now - timedelta(seconds=held))
            changed.append(incident.model_copy(update={"closed_at": closed_at}))
    return Judged(tuple(changed), contradicting)


def say_next(incident: Incident, now: datetime) -> Say | None:
    """Return what is to be said of an incident, if anything."""
    if incident.closed_at is None:
        return Say.OPENED if incident.told is None else None
    if incident.told == "opened":
        return Say.OVER
    return Say.WAS if incident.told is None and now - incident.closed_at < OLD_NEWS else None


def having_said(current: Incident, said: Incident, say: Say) -> Incident:
    """Return the incident as it is now, once `say` was said of it as it was then. It may have gone on meanwhile."""
    if current.opened_at != said.opened_at:
        return current
    if say is Say.OPENED:
        return current.model_copy(update={"told": "opened"})
    if current.closed_at is None:  # it came back while its end was being told: that is to be told as well
        return current.model_copy(update={"told": None})
    return current.model_copy(update={"told": "over"})


def _needed(finding: Finding, incident: Incident | None) -> float:
    if finding.is_bad:
        return finding.opens_after_seconds
    damped = QUIET_SECONDS if incident is not None and incident.again else 0.0
    return max(finding.closes_after_seconds, damped)


def _opened(finding: Finding, before: Incident | None, began_at: datetime, page: str) -> Incident:
    if before is not None and before.told == "opened":  # nobody has been told that it was over: it goes on
        return before.model_copy(update={"closed_at": None, "again": True})
    return Incident(
        key=finding.key,
        kind=finding.kind.value,
        subject=finding.subject,
        opened_at=began_at,
        words=_cut(finding.words),
        advice=_cut(finding.advice),
        runbook=f"{page}#{finding.kind.value}",
        again=before is not None and before.closed_at is not None and began_at - before.closed_at < AGAIN,
    )


def _cut(words: str) -> str:
    return words if len(words) <= LONGEST_WORDS else f"{words[: LONGEST_WORDS - 1]}…"


def later(ours: Incident, theirs: Incident) -> Incident:
    """Return which of two tellings of a key is further on: the newer incident, then the one of which more has been said."""
    return max(theirs, ours, key=_progress)


def _progress(incident: Incident) -> tuple[datetime, int, bool]:
    return incident.opened_at, (None, "opened", "over").index(incident.told), incident.closed_at is not None
