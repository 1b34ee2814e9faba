"""What must be true after every fault: each function returns what is not, in words that lead to the record."""

from collections import Counter, defaultdict
from collections.abc import Callable
from datetime import datetime, timedelta
from itertools import pairwise
from typing import Any
from uuid import UUID

from libs.contracts.asset import Asset
from libs.contracts.run_events import RunFailed, RunSkipped, RunStarted, RunSucceeded, ShardFailed, ShardPublished
from libs.domain.assets import asset_of
from libs.domain.candles import bucket_at
from libs.domain.identity import Listing
from libs.domain.rejections import Reason
from libs.sources.catalogue import PRIORITIES
from tests.faults.evidence import Evidence, applied_ticks, counted_requests, fields_of
from tests.faults.ledger import SeenTick
from tests.faults.tables import HeldCandle, HeldTick, Tick, digits
from tests.faults.watcher import ran_ahead

HOUR = timedelta(hours=1)


def newest_content_is_stored(evidence: Evidence) -> list[str]:
    quotes = evidence.tables.quotes
    return [
        f"{listing}: served {tick_id}, quotes has {quotes[listing].tick_id if listing in quotes else 'nothing'}"
        for listing, tick_id in evidence.served.items()
        if listing not in quotes or quotes[listing].tick_id != tick_id
    ]


def nothing_older_shows(evidence: Evidence) -> list[str]:
    best: dict[Listing, SeenTick] = {}
    for tick in applied_ticks(evidence):
        assert tick.listing is not None
        assert tick.freshness is not None
        held = best.get(tick.listing)
        if held is None or held.freshness is None or held.freshness < tick.freshness:
            best[tick.listing] = tick
    quotes = evidence.tables.quotes
    wrong = [
        f"{listing}: the newest in the topic is {tick.tick_id} ({tick.origin}), quotes has "
        f"{quotes[listing].tick_id if listing in quotes else 'nothing'}"
        for listing, tick in best.items()
        if listing not in quotes or quotes[listing].tick_id != tick.tick_id
    ]
    return wrong + [f"{listing}: a quote that no tick made" for listing in quotes.keys() - best.keys()]


def every_tick_is_stored_or_dead_lettered(evidence: Evidence) -> list[str]:
    raw, letters = evidence.tables.raw, evidence.ledger.letters
    return [
        f"{tick.origin}: {tick.tick_id} of {tick.listing} is in no table and in no dead letter"
        for tick in evidence.ledger.ticks.values()
        if tick.origin not in letters and (tick.tick_id is None or tick.tick_id not in raw[tick.source])
    ]


def every_row_comes_from_a_tick(evidence: Evidence) -> list[str]:
    sent = {(tick.source, tick.tick_id) for tick in evidence.ledger.ticks.values()}
    return [
        f"raw_{source}: {tick_id} was never in the topic"
        for source, held in evidence.tables.raw.items()
        for tick_id in held
        if (source, tick_id) not in sent
    ]


def no_tick_is_stored_twice(evidence: Evidence) -> list[str]:
    distinct = sum(map(len, evidence.tables.raw.values()))
    return [] if evidence.tables.raw_rows == distinct else [f"{evidence.tables.raw_rows} raw rows, {distinct} tick_ids"]


def every_record_is_counted_for_its_run(evidence: Evidence) -> list[str]:
    """Stored, duplicate and dead-lettered add up to what the topic holds, run by run and partition by partition."""
    sent: Counter[tuple[UUID, str, int]] = Counter(
        (tick.run_id, tick.source, tick.origin.partition)
        for tick in evidence.ledger.ticks.values()
        if tick.run_id is not None and not tick.redriven
    )
    counted = evidence.tables.counted
    return [
        f"run {place[0]} in {place[1]}/{place[2]}: {sent[place]} in the topic, {counted.get(place, 0)} counted"
        for place in sorted(sent.keys() | counted.keys(), key=str)
        if sent[place] != counted.get(place, 0)
    ]


def what_became_of_ticks_is_counted_as_that(evidence: Evidence) -> list[str]:
    """Stored means a row, dead-lettered a dead letter, and so duplicate the rest.

    Re-driven ticks are not counted: their run has ended. What Postgres refused, and no longer refuses when it comes again
    after a crash, is stored and has its dead letter too.
    """
    counted, rows, letters = evidence.tables.outcomes, evidence.tables.raw_rows, evidence.ledger.letters
    ticks = evidence.ledger.ticks.values()
    redriven = sum(tick.redriven for tick in ticks)
    set_aside = sum(tick.origin in letters and tick.run_id is not None and not tick.redriven for tick in ticks)
    refused = any(letter.error_class == Reason.REFUSED_BY_DATABASE for held in letters.values() for letter in held)
    wrong = []
    if not counted["stored"] <= rows <= counted["stored"] + redriven:
        wrong.append(f"{counted['stored']} ticks are counted as stored, {rows} rows are there, {redriven} were re-driven")
    if counted["dead_lettered"] > set_aside or (counted["dead_lettered"] < set_aside and not refused):
        wrong.append(f"{counted['dead_lettered']} ticks are counted as dead-lettered, {set_aside} have a dead letter")
    return wrong


def only_poison_is_set_aside(evidence: Evidence) -> list[str]:
    """An outage is waited out: where nobody sent poison, nothing but a record of ours is a dead letter."""
    if evidence.poisoned:
        return []
    ledger = evidence.ledger
    set_aside = [(str(origin), held[0]) for origin, held in ledger.letters.items() if origin not in ledger.injected]
    set_aside += [("a row that is in no topic", letter) for letter in ledger.rows_set_aside]
    return [f"{what} of {letter.source} was set aside as {letter.error_class} by {letter.stage}" for what, letter in set_aside]


def dead_letters_keep_their_bytes(evidence: Evidence) -> list[str]:
    ticks = evidence.ledger.ticks
    return [
        f"{origin}: a dead letter with other bytes than the record"
        for origin, letters in evidence.ledger.letters.items()
        if origin in ticks and any(letter.digest != ticks[origin].digest for letter in letters)
    ]


def no_content_follows_itself(evidence: Evidence) -> list[str]:
    """What a listing says is published once for each time that it says it.

    A content may come back (a rank that two neighbours exchange to and fro): then another stands between.
    """
    if evidence.whole_answers_again:
        return []
    published: dict[Listing, list[SeenTick]] = defaultdict(list)
    for tick in sorted(evidence.ledger.ticks.values(), key=lambda each: (each.origin.partition, each.origin.offset)):
        if tick.listing is not None and not tick.injected and not tick.redriven:
            published[tick.listing].append(tick)
    return [
        f"{listing}: {later.tick_id} twice in a row, at {earlier.origin} and {later.origin}"
        for listing, ticks in published.items()
        for earlier, later in pairwise(ticks)
        if earlier.tick_id == later.tick_id
    ]


def every_run_ends_once(evidence: Evidence) -> list[str]:
    events = evidence.ledger.events
    ends = Counter(event.run_id for event in events if isinstance(event, RunSucceeded | RunFailed | RunSkipped))
    known = evidence.asked_for | {event.run_id for event in events}
    return [f"run {run_id} has {ends[run_id]} ends" for run_id in sorted(known) if ends[run_id] != 1]


def every_shard_reports_once(evidence: Evidence) -> list[str]:
    reports: dict[UUID, Counter[str]] = defaultdict(Counter)
    planned: dict[UUID, list[tuple[str, ...]]] = defaultdict(list)
    for event in evidence.ledger.events:
        if isinstance(event, ShardPublished | ShardFailed):
            reports[event.run_id][event.shard] += 1
        elif isinstance(event, RunStarted):
            planned[event.run_id].append(event.shards)
    wrong = [f"run {run_id} was started {len(plans)} times" for run_id, plans in planned.items() if len(plans) > 1]
    return wrong + [
        f"run {run_id}: planned {plans[0]}, reported {dict(reports[run_id])}"
        for run_id, plans in planned.items()
        if reports[run_id] != Counter(plans[0])
    ]


def nothing_of_a_failed_shard_is_published(evidence: Evidence) -> list[str]:
    """A run has published what its shards tell that they published, and not a tick more."""
    ledger = evidence.ledger
    ticks = (tick for tick in ledger.ticks.values() if not tick.injected and not tick.redriven and tick.run_id is not None)
    sent = Counter(tick.run_id for tick in ticks if tick.run_id not in ledger.made_up_runs)
    told: Counter[UUID | None] = Counter()
    for event in ledger.events:
        if isinstance(event, ShardPublished):
            told[event.run_id] += event.counts.published
    return [
        f"run {run_id}: its shards tell of {told[run_id]} ticks, {sent[run_id]} are in the topic"
        for run_id in sorted(sent.keys() | told.keys(), key=str)
        if sent[run_id] != told[run_id] and run_id not in ledger.runs_with_losses
    ]


def run_counts_add_up(evidence: Evidence) -> list[str]:
    wrong: list[str] = []
    for event in evidence.ledger.events:
        if not isinstance(event, RunSucceeded | RunFailed):
            continue
        totals = event.totals
        if event.run_id in evidence.ledger.runs_with_losses:
            if not isinstance(event, RunFailed) or "never applied" not in event.error:
                wrong.append(f"run {event.run_id} does not say that ticks of it were lost: {event}")
        elif totals.fetched != totals.unchanged + totals.stored + totals.duplicate + totals.dead_lettered:
            wrong.append(f"run {event.run_id}: {totals}")
        row = evidence.tables.runs.get(event.run_id)
        if row is None or row["status"] != event.event or any(row[name] != count for name, count in totals):
            wrong.append(f"run {event.run_id}: announced {event.event} {totals}, etl_runs has {row}")
    return wrong


def subscribers_see_the_table(evidence: Evidence) -> list[str]:
    """assets.normalized, compacted, is the table: same assets, same versions, same values."""
    held = {key.decode(): value for key, value in evidence.ledger.assets.items() if value is not None}
    table = evidence.tables.assets
    wrong = [f"asset {uid} is in the table only" for uid in table.keys() - held.keys()]
    wrong += [f"asset {uid} is in the topic only" for uid in held.keys() - table.keys()]
    for uid in table.keys() & held.keys():
        told, row = Asset.decode(held[uid]), table[uid]
        differing = {name: (told_value, row[name]) for name, told_value in fields_of(told).items() if told_value != row[name]}
        if differing:
            wrong.append(f"asset {uid}: topic and table differ in {differing}")
    return wrong


def assets_follow_from_quotes(evidence: Evidence) -> list[str]:
    by_uid: dict[str, list[Any]] = defaultdict(list)
    for quote in evidence.tables.quotes.values():
        by_uid[quote.asset_uid].append(quote)
    wrong = [f"asset {uid} has no quote" for uid in evidence.tables.assets.keys() - by_uid.keys()]
    for uid, quotes in by_uid.items():
        computed, row = asset_of(quotes, PRIORITIES), evidence.tables.assets.get(uid)
        assert computed is not None
        if row is None or any(value != digits(row[name]) for name, value in computed._asdict().items()):
            wrong.append(f"asset {uid} is not what its quotes add up to: {row}")
    return wrong


def every_tick_is_in_the_history(evidence: Evidence) -> list[str]:
    """Or is remembered as too late for it; and nothing is there that was never sent."""
    held = evidence.tables.history.keys() | evidence.tables.late
    applied = {_place_of(tick): tick.origin for tick in applied_ticks(evidence)}
    sent = {_place_of(tick) for tick in evidence.ledger.ticks.values() if tick.listing is not None}
    wrong = [f"{place} at {origin} is not in the history" for place, origin in applied.items() if place not in held]
    return wrong + [f"{place} is in the history and was never in a topic" for place in held - sent]


def _place_of(tick: SeenTick) -> Tick:
    assert tick.listing is not None
    assert tick.freshness is not None
    return tick.listing, tick.freshness[0], tick.freshness[2]


def candles_follow_from_ticks(evidence: Evidence) -> list[str]:
    """Hour by hour, where no tick was too late to be kept."""
    held = evidence.tables
    by_hour: dict[tuple[Listing, datetime], list[tuple[Tick, HeldTick]]] = defaultdict(list)
    for place, tick in held.history.items():
        if tick.price is not None:
            by_hour[place[0], bucket_at(place[1], HOUR)].append((place, tick))
    late = {(listing, bucket_at(event_time, HOUR)) for listing, event_time, _ in held.late}
    wrong = []
    for hour in (by_hour.keys() | held.candles.keys()) - late:
        made, kept = _candle_of(by_hour[hour]), held.candles.get(hour)
        if made != kept:
            wrong.append(f"{hour[0]} at {hour[1]}: its ticks make {made}, its candle is {kept}")
    return wrong


def only_an_open_hour_has_no_row(evidence: Evidence) -> list[str]:
    """That of its listing's newest quote. Rows are whole, and so are the candles of open hours: candles_follow_from_ticks."""
    held = evidence.tables
    priced = {(place[0], bucket_at(place[1], HOUR)) for place, tick in held.history.items() if tick.price is not None}
    open_hours = {(listing, bucket_at(quote.source_updated_at, HOUR)) for listing, quote in held.quotes.items()}
    return [f"{listing} at {at} has ticks and no row, and is over" for listing, at in priced - held.hours - open_hours]


def _candle_of(ticks: list[tuple[Tick, HeldTick]]) -> HeldCandle | None:
    if not ticks:
        return None
    first = min(ticks, key=lambda each: (each[0][1], each[1].first_fetched_at, each[0][2]))[1].price
    last = max(ticks, key=lambda each: (each[0][1], each[1].fetched_at, each[0][2]))[1].price
    prices = [tick.price for _, tick in ticks if tick.price is not None]
    assert first is not None
    assert last is not None
    return HeldCandle(first, max(prices), min(prices), last, len(ticks))


def no_checkpoint_ran_ahead(evidence: Evidence) -> list[str]:
    return ran_ahead(evidence.samples, evidence.ledger, evidence.tables)


def every_request_was_counted(evidence: Evidence) -> list[str]:
    counted = counted_requests(evidence.ledger)
    return [
        f"{source} was asked {asked} times, {counted[source]} were counted"
        for source, asked in evidence.requests.items()
        if asked > counted[source]
    ]


Invariant = Callable[[Evidence], list[str]]
LOST: tuple[Invariant, ...] = (
    newest_content_is_stored,
    nothing_older_shows,
    every_tick_is_stored_or_dead_lettered,
    every_record_is_counted_for_its_run,
    only_poison_is_set_aside,
    subscribers_see_the_table,
    every_tick_is_in_the_history,
)
DOUBLED: tuple[Invariant, ...] = (
    no_tick_is_stored_twice,
    no_content_follows_itself,
    every_run_ends_once,
    every_shard_reports_once,
    nothing_of_a_failed_shard_is_published,
    candles_follow_from_ticks,
    only_an_open_hour_has_no_row,
)
OTHERS: tuple[Invariant, ...] = (
    what_became_of_ticks_is_counted_as_that,
    every_row_comes_from_a_tick,
    dead_letters_keep_their_bytes,
    run_counts_add_up,
    assets_follow_from_quotes,
    no_checkpoint_ran_ahead,
    every_request_was_counted,
)
AT_ANY_TIME: tuple[Invariant, ...] = (no_checkpoint_ran_ahead, no_tick_is_stored_twice, no_content_follows_itself)
"""Hold in the midst of things too: they may tell why a pipeline does not come to rest."""
