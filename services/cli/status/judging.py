"""What is wrong, and what is worth a look although nothing is: the first decides the exit code. Pure."""

from collections.abc import Iterator
from datetime import datetime, timedelta
from typing import Final

from services.cli.amounts import count, span
from services.cli.status.answers import LARGEST_PAGE, Found, Source

RECENTLY: Final = timedelta(days=1)
OVERDUE_SECONDS: Final = 60.0
"""Beyond its interval: a run that is due may wait for the one before it."""
LITTLE_LEFT: Final = 0.05
"""Of a month's quota."""
FAILED, SKIPPED, STALLED, DOWN = "failed", "skipped", "stalled", "down"


def wrong_in(found: Found) -> list[str]:
    """Return what somebody has to mend, each with what is known of it; empty: all is well."""
    told = [
        *(f"{name}: cannot be told now, {why}" for name, why in found.unavailable.items()),
        *_dependencies(found),
        *_consumer(found),
        *(words for source in _running(found) for words in _source(source, found.at)),
        *_incidents(found),
    ]
    if not told and found.health.status != "ok":
        told.append(f"the API calls itself {found.health.status}")
    return told


def worth_a_look(found: Found) -> list[str]:
    """Return what an operator should know of, and may leave for the morning."""
    return [*_letters(found), *_gaps(found), *_unusual(found), *_quotas(found)]


def _dependencies(found: Found) -> Iterator[str]:
    for name, seen in found.health.dependencies.items():
        if seen.status == DOWN:
            yield f"{name} is down since {span((found.at - seen.since).total_seconds())}: {seen.error}"
        elif seen.error:
            yield f"{name} is of no use: {seen.error}"


def _consumer(found: Found) -> Iterator[str]:
    if found.checkpoints is None:
        return
    if not found.checkpoints.members:
        yield f"nobody consumes: no normalizer is in the group {found.checkpoints.group}"
    for each in found.checkpoints.checkpoints:
        if each.status == STALLED:
            stuck = ", ".join(str(one.partition) for one in each.partitions if one.status == STALLED)
            yield (
                f"the normalizer has {count(each.lag_messages)} ticks of {each.source} to read and has committed none "
                f"for {span(each.still_seconds)} (partition {stuck or '?'})"
            )


def _running(found: Found) -> Iterator[Source]:
    yield from (each for each in (found.sources.sources if found.sources else ()) if each.runs_here)


def _source(source: Source, at: datetime) -> Iterator[str]:
    last = source.last_run
    if last is not None and last.status == FAILED and last.told_at is not None:
        yield f"{source.source}: its last run failed {span((at - last.told_at).total_seconds())} ago: {last.error}"
    schedule = source.schedule
    if schedule is not None and schedule.next_at is not None and schedule.interval_seconds is not None:
        late = (at - schedule.next_at).total_seconds()
        if late > schedule.interval_seconds + OVERDUE_SECONDS:
            yield f"{source.source}: a run has been due for {span(late)}: no producer makes it"


def _incidents(found: Found) -> Iterator[str]:
    for each in found.incidents.open if found.incidents else ():
        since = span((found.at - each.opened_at).total_seconds())
        yield f"{each.kind} {each.subject}, open since {since}: {each.words} {each.advice} See {each.runbook}"


def _letters(found: Found) -> Iterator[str]:
    waiting = sum(each.waiting for each in found.dead_letters.dead_letters) if found.dead_letters else 0
    if waiting:
        yield f"{count(waiting)} dead letters wait: `kasparro dead-letters list` shows them"


def _gaps(found: Found) -> Iterator[str]:
    recent = [each for each in (found.gaps.gaps if found.gaps else ()) if found.at - each.found_at < RECENTLY]
    if recent:
        more = " or more" if len(recent) == LARGEST_PAGE else ""
        yield f"{len(recent)}{more} gaps were found within a day: something is missing, see below"


def _unusual(found: Found) -> Iterator[str]:
    for each in _running(found):
        if each.last_run is None:
            yield f"{each.source}: no run of it is recorded yet; does its producer run?"
        if each.last_run is not None and each.last_run.status == SKIPPED:
            yield f"{each.source}: its last run was skipped: {each.last_run.error}"
        if each.last_success is not None:
            yield from (f"{each.source}: unusual: {one.words}" for one in each.last_success.anomalies)
        drifted = [one for one in each.drift.recent if found.at - one.found_at < RECENTLY]
        if drifted:
            yield f"{each.source}: {len(drifted)} fields of its rows are not as they were, since less than a day"


def _quotas(found: Found) -> Iterator[str]:
    for each in _running(found):
        if each.quota is None:
            continue
        month, blocked_until = each.quota.month, each.quota.blocked_until
        if month is not None and month.left <= LITTLE_LEFT * month.limit:
            yield f"{each.source}: of the month's {count(month.limit)} requests {count(month.left)} are left"
        if blocked_until is not None and blocked_until > found.at:
            yield f"{each.source}: its provider wants to be left alone for {span((blocked_until - found.at).total_seconds())}"
