"""The picture of `kasparro status` as tables. Pure."""

from collections.abc import Iterator, Sequence
from datetime import datetime
from typing import Final

from services.cli.amounts import UNKNOWN, count, span
from services.cli.status.answers import Checkpoint, Found, Gap, Partition, Quota, Run, Schedule, Source
from services.cli.tables import Cell, Table, Tone

COUNTS: Final = ("fetched", "unchanged", "published", "stored", "duplicate", "dead_lettered")
TONES: Final = {
    "up": Tone.GOOD,
    "ok": Tone.GOOD,
    "idle": Tone.GOOD,
    "moving": Tone.GOOD,
    "succeeded": Tone.GOOD,
    "skipped": Tone.NOTE,
    "unknown": Tone.NOTE,
    "degraded": Tone.WRONG,
    "failed": Tone.WRONG,
    "stalled": Tone.WRONG,
    "down": Tone.WRONG,
}
"""What the API's words of a state mean; one that is not among them is shown as it is."""


def tables_of(found: Found) -> Iterator[Table]:
    """Return every table, in the order in which one looks."""
    yield _health(found)
    if found.sources:
        yield _sources(found.sources.sources, found.at)
    if found.checkpoints:
        asleep = {each.source for each in (found.sources.sources if found.sources else ()) if not each.runs_here}
        read = [each for each in found.checkpoints.checkpoints if each.lag_messages or each.source not in asleep]
        yield _lag(read, found.checkpoints.members)
    if found.runs:
        yield _runs(found.runs.runs, found.at)
    if found.dead_letters:
        yield _letters(found)
    if found.gaps:
        yield _gaps(found.gaps.gaps, found.at)
    if found.sources:
        yield _unusual(found.sources.sources, found.at)
    if found.incidents:
        yield _incidents(found)


def _health(found: Found) -> Table:
    health = found.health
    rows = [
        [Cell(name), _state(seen.status), Cell(ago(seen.since, found.at)), Cell(seen.error or "")]
        for name, seen in health.dependencies.items()
    ]
    consumer = health.normalizer
    waiting = "" if consumer.lag_messages is None else f"{count(consumer.lag_messages)} ticks to read"
    rows.append([Cell("normalizer"), _state(consumer.status), Cell(UNKNOWN), Cell(waiting)])
    return Table("health", ("what", "state", "since", ""), rows)


def _sources(sources: Sequence[Source], at: datetime) -> Table:
    columns = ("source", "last run", "ago", "success", "next run", "newest", "quota left", "listings", "assets")
    rows = [
        [
            Cell(each.source),
            _run_state(each.last_run) if each.runs_here else Cell("not run here", Tone.QUIET),
            Cell(ago(each.last_run.told_at if each.last_run else None, at)),
            Cell(ago(each.last_success.told_at if each.last_success else None, at)),
            Cell(_next_run(each.schedule, at)),
            Cell(span(each.freshness_seconds)),
            Cell(_quota(each.quota)),
            Cell(count(each.listings)),
            Cell(count(each.assets)),
        ]
        for each in sources
    ]
    return Table("sources", columns, rows, numbers=frozenset({"listings", "assets"}))


def _next_run(schedule: Schedule | None, at: datetime) -> str:
    if schedule is None or schedule.next_at is None:
        return UNKNOWN
    seconds = (schedule.next_at - at).total_seconds()
    return f"in {span(seconds)}" if seconds > 0 else "due"


def _quota(quota: Quota | None) -> str:
    windows = [] if quota is None else [("minute", quota.minute), ("month", quota.month)]
    return ", ".join(f"{count(each.left)}/{count(each.limit)} a {name}" for name, each in windows if each) or UNKNOWN


def _lag(checkpoints: Sequence[Checkpoint], members: int) -> Table:
    places = sorted({one.partition for each in checkpoints for one in each.partitions})
    numbers = [str(place) for place in places]
    rows = []
    for each in checkpoints:
        by_place = {one.partition: one for one in each.partitions}
        cells = [_partition(by_place[place]) if place in by_place else Cell(UNKNOWN, Tone.QUIET) for place in places]
        rows.append(
            [Cell(each.source), _state(each.status), Cell(count(each.lag_messages)), Cell(span(each.lag_seconds)), *cells]
        )
    readers = "1 normalizer reads" if members == 1 else f"{members} normalizers read"
    return Table(
        f"lag: ticks to read, by partition (▲ more than before); {readers}",
        ("source", "state", "all", "oldest", *numbers),
        rows,
        numbers=frozenset({"all", *numbers}),
    )


def _partition(one: Partition) -> Cell:
    tone = TONES.get(one.status, Tone.PLAIN)
    if not one.lag_messages:
        return Cell("0", Tone.GOOD)
    return Cell(f"{count(one.lag_messages)}{'▲' if one.lag_grew else ''} {one.status}", tone)


def _runs(runs: Sequence[Run], at: datetime) -> Table:
    rows = [
        [
            Cell(ago(each.told_at, at)),
            Cell(each.source),
            _run_state(each),
            Cell(each.trigger or UNKNOWN),
            *(_count(each, name) for name in COUNTS),
            Cell(UNKNOWN if each.duration_ms is None else f"{count(each.duration_ms)} ms"),
            Cell("; ".join([*([each.error] if each.error else []), *(f"unusual: {one.words}" for one in each.anomalies)])),
        ]
        for each in runs
    ]
    counted = (*COUNTS[:-1], "set aside")
    return Table(
        "last runs",
        ("ago", "source", "state", "trigger", *counted, "took", ""),
        rows,
        numbers=frozenset({*counted, "took"}),
    )


def _count(run: Run, name: str) -> Cell:
    number = run.counts.get(name)
    return Cell(count(number), Tone.NOTE if name == "dead_lettered" and number else Tone.PLAIN)


def _letters(found: Found) -> Table:
    letters = [each for each in (found.dead_letters.dead_letters if found.dead_letters else ()) if each.waiting]
    rows = [
        [
            Cell(each.source or UNKNOWN),
            Cell(each.error_class),
            Cell(count(each.waiting), Tone.NOTE),
            Cell(ago(each.last_failed_at, found.at)),
        ]
        for each in letters
    ]
    return Table("dead letters that wait", ("source", "class", "letters", "newest"), rows, numbers=frozenset({"letters"}))


def _gaps(gaps: Sequence[Gap], at: datetime) -> Table:
    rows = [[Cell(ago(each.found_at, at)), Cell(each.source or UNKNOWN), Cell(each.kind), Cell(gap_words(each))] for each in gaps]
    return Table("gaps", ("found", "source", "kind", ""), rows)


def gap_words(gap: Gap) -> str:
    """Return what is missing, as far as the kind says."""
    match gap.kind:
        case "runs_missed":
            return f"{gap.runs} runs from {gap.first_due:%Y-%m-%d %H:%M:%S} to {gap.last_due:%Y-%m-%d %H:%M:%S} UTC"
        case "offsets_lost":
            return f"{gap.topic} partition {gap.partition}: offsets {gap.from_offset} to {gap.to_offset}"
        case "shard_failed":
            return f"shard {gap.shard}: {gap.error}"
        case _:
            return ""


def _unusual(sources: Sequence[Source], at: datetime) -> Table:
    rows = []
    for each in sources:
        if each.last_success is not None:
            told = ago(each.last_success.told_at, at)
            rows += [[Cell(told), Cell(each.source), Cell(one.kind), Cell(one.words)] for one in each.last_success.anomalies]
        rows += [
            [
                Cell(ago(one.found_at, at)),
                Cell(each.source),
                Cell(one.kind),
                Cell(f"{one.field}: {_types(one.was)} -> {_types(one.now)}"),
            ]
            for one in each.drift.recent
        ]
    return Table("anomalies of the last good run, fields that drifted", ("ago", "source", "kind", ""), rows)


def _types(types: Sequence[str]) -> str:
    return " or ".join(types) or "nothing"


def _incidents(found: Found) -> Table:
    rows = [
        [
            Cell(ago(each.opened_at, found.at)),
            Cell(each.kind, Tone.WRONG),
            Cell(each.subject),
            Cell(each.words),
            Cell(each.runbook),
        ]
        for each in (found.incidents.open if found.incidents else ())
    ]
    return Table("incidents that are open", ("since", "kind", "subject", "", "what to do"), rows)


def _state(status: str) -> Cell:
    return Cell(status, TONES.get(status, Tone.PLAIN))


def _run_state(run: Run | None) -> Cell:
    return Cell("none yet", Tone.NOTE) if run is None else _state(run.status)


def ago(moment: datetime | None, at: datetime) -> str:
    """Return how long ago it was."""
    return UNKNOWN if moment is None else span((at - moment).total_seconds())
