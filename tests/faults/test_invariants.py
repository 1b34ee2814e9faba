"""That each check can fail: evidence that is right in everything passes all, and one wrong thing fails the check for it."""

from collections import Counter, defaultdict
from collections.abc import Callable
from dataclasses import replace
from datetime import timedelta
from decimal import Decimal
from typing import Any
from uuid import UUID

import pytest

from libs.contracts.asset import encode_asset
from libs.contracts.cursors import QuotaUsage
from libs.contracts.dead_letters import Origin
from libs.contracts.run_events import RunEvent, RunStarted, RunSucceeded, RunTotals, ShardCounts, ShardPublished
from libs.domain.assets import Asset, asset_of
from libs.domain.candles import bucket_at
from libs.domain.runs import Trigger
from libs.sources.catalogue import PRIORITIES
from tests.faults import invariants
from tests.faults.evidence import Evidence
from tests.faults.invariants import DOUBLED, HOUR, LOST, OTHERS
from tests.faults.ledger import Ledger, SeenLetter, SeenTick
from tests.faults.tables import HeldCandle, HeldTick, Tables
from tests.faults.watcher import Sample, since_emptied
from tests.unit.domain.made_up import START, quote

RUN, RAW = UUID(int=2), "ticks.raw.coingecko"
OLD, NEW = (quote(tick_id=UUID(int=n), source_updated_at=START + timedelta(hours=n), fetched_at=START) for n in (1, 2))

NUMBERS = Asset._fields[Asset._fields.index("price_usd") : Asset._fields.index("price_spread_percent") + 1]


def seen(offset: int, of: Any, **said: Any) -> SeenTick:
    freshness = (of.source_updated_at, of.fetched_at, of.tick_id)
    origin = Origin(RAW, 0, offset)
    plain = SeenTick(origin, "coingecko", of.tick_id.bytes, False, False, of.tick_id, of.listing, RUN, freshness)
    return plain._replace(**said)


def event(kind: type, **said: Any) -> RunEvent:
    made: RunEvent = kind(run_id=RUN, source="coingecko", at=START, **said)
    return made


def good() -> Evidence:
    asset = asset_of([NEW], PRIORITIES)
    assert asset is not None
    numbers = {name: Decimal(number) for name in NUMBERS if (number := getattr(asset, name)) is not None}
    totals = RunTotals(fetched=2, published=2, stored=2)
    ledger = Ledger("")
    ledger.ticks = {tick.origin: tick for tick in (seen(0, OLD), seen(1, NEW))}
    ledger.letters = defaultdict(list)
    ledger.assets = {b"btc": encode_asset(asset, 1)}
    ledger.events = [
        event(RunStarted, trigger=Trigger.MANUAL, shards=("1",)),
        event(
            ShardPublished,
            shard="1",
            counts=ShardCounts(fetched=2, unchanged=0, published=2, dead_lettered=0),
            last_offsets={0: 1},
        ),
        event(RunSucceeded, totals=totals),
    ]
    usage = QuotaUsage(source="coingecko", command_partition=0, month=START.date(), month_requests=1, recent_requests=())
    ledger.cursors = {b"coingecko/quota": usage.model_dump_json().encode()}
    tables = Tables(
        raw={"coingecko": {OLD.tick_id: 1, NEW.tick_id: 2}, "coinpaprika": {}, "csv": {}},
        raw_rows=2,
        quotes={NEW.listing: NEW},
        assets={"btc": {**asset._asdict(), **numbers, "version": 1}},
        runs={RUN: {"status": "succeeded", **dict(totals)}},
        counted={(RUN, "coingecko", 0): 2},
        outcomes=Counter(stored=2),
        history={place_of(one): HeldTick(Decimal(one.price_usd or 0), one.fetched_at, one.fetched_at) for one in (OLD, NEW)},
        late=frozenset(),
        candles={(one.listing, bucket_at(one.source_updated_at, HOUR)): candle_of(one) for one in (OLD, NEW)},
        hours=frozenset({(OLD.listing, bucket_at(OLD.source_updated_at, HOUR))}),
    )
    samples = [Sample({(RAW, 0): 1}, {"coingecko": 1}), Sample({(RAW, 0): 2}, {"coingecko": 2})]
    return Evidence(ledger, tables, {NEW.listing: NEW.tick_id}, frozenset({RUN}), {"coingecko": 1}, samples)


def test_what_is_right_passes_every_check() -> None:
    evidence = good()
    assert [found for check in (*LOST, *DOUBLED, *OTHERS) for found in check(evidence)] == []


def place_of(one: Any) -> Any:
    return one.listing, one.source_updated_at, one.tick_id


def candle_of(one: Any) -> HeldCandle:
    price = Decimal(one.price_usd or 0)
    return HeldCandle(price, price, price, price, 1)


def with_tick(evidence: Evidence, tick: SeenTick) -> Evidence:
    evidence.ledger.ticks[tick.origin] = tick
    return evidence


def with_tables(evidence: Evidence, **changed: Any) -> Evidence:
    return replace(evidence, tables=replace(evidence.tables, **changed))


def with_letter(evidence: Evidence, digest: bytes) -> Evidence:
    evidence.ledger.letters[Origin(RAW, 0, 1)].append(SeenLetter("coingecko", "undecodable", "normalizer", digest, ""))
    return evidence


def with_events(evidence: Evidence, *events: RunEvent) -> Evidence:
    evidence.ledger.events = [*evidence.ledger.events, *events]
    return evidence


def with_assets(evidence: Evidence, **assets: bytes | None) -> Evidence:
    evidence.ledger.assets |= {uid.encode(): value for uid, value in assets.items()}
    return evidence


WRONG: dict[str, Callable[[Evidence], Evidence]] = {
    "newest_content_is_stored": lambda held: replace(held, served={NEW.listing: UUID(int=9)}),
    "nothing_older_shows": lambda held: with_tables(held, quotes={OLD.listing: OLD}),
    "every_tick_is_stored_or_dead_lettered": lambda held: with_tick(held, seen(2, quote(tick_id=UUID(int=3)))),
    "every_record_is_counted_for_its_run": lambda held: with_tables(held, counted={(RUN, "coingecko", 0): 1}),
    "what_became_of_ticks_is_counted_as_that": lambda held: with_tables(held, outcomes=Counter(stored=1, duplicate=1)),
    "only_poison_is_set_aside": lambda held: with_letter(held, NEW.tick_id.bytes),
    "subscribers_see_the_table": lambda held: with_assets(held, btc=None),
    "no_tick_is_stored_twice": lambda held: with_tables(held, raw_rows=3),
    "no_content_follows_itself": lambda held: with_tick(held, seen(2, NEW)),
    "every_run_ends_once": lambda held: with_events(held, event(RunSucceeded, totals=RunTotals())),
    "every_shard_reports_once": lambda held: with_events(held, held.ledger.events[1]),
    "nothing_of_a_failed_shard_is_published": lambda held: with_tick(held, seen(2, quote(tick_id=UUID(int=3)))),
    "every_row_comes_from_a_tick": lambda held: with_tables(held, raw={**held.tables.raw, "csv": {UUID(int=7): 1}}),
    "dead_letters_keep_their_bytes": lambda held: with_letter(held, b"others"),
    "run_counts_add_up": lambda held: with_tables(held, runs={RUN: {**held.tables.runs[RUN], "stored": 1}}),
    "assets_follow_from_quotes": lambda held: with_tables(held, assets={"btc": {**held.tables.assets["btc"], "name": "Other"}}),
    "no_checkpoint_ran_ahead": lambda held: replace(held, samples=[Sample({(RAW, 0): 2}, {"coingecko": 1})]),
    "every_tick_is_in_the_history": lambda held: with_tables(held, history={}),
    "candles_follow_from_ticks": lambda held: with_tables(
        held, candles={place: candle._replace(ticks=2) for place, candle in held.tables.candles.items()}
    ),
    "only_an_open_hour_has_no_row": lambda held: with_tables(held, hours=frozenset()),
    "every_request_was_counted": lambda held: replace(held, requests={"coingecko": 2}),
}


def test_every_check_has_something_that_fails_it() -> None:
    assert {check.__name__ for check in (*LOST, *DOUBLED, *OTHERS)} == WRONG.keys()


@pytest.mark.parametrize("check", WRONG)
def test_what_is_wrong_fails_its_check(check: str) -> None:
    assert getattr(invariants, check)(WRONG[check](good()))


def test_checkpoints_from_before_a_rebuild_tell_nothing_of_the_rows_after_it() -> None:
    def sample(committed: int, newest: int) -> Sample:
        return Sample({(RAW, 0): committed}, {"coingecko": newest})

    before, emptied, reset, again = sample(2, 2), sample(2, 0), sample(0, 0), sample(1, 3)
    assert since_emptied([before, emptied, reset, again]) == [reset, again]
    assert since_emptied([before, reset, again]) == [reset, again]
    assert since_emptied([before, before]) == [before, before]
    assert since_emptied([before, sample(0, 2), before]) == [before, sample(0, 2), before], "offsets were reset, rows are there"
