import random
from datetime import timedelta
from decimal import Decimal
from uuid import UUID

from hypothesis import given
from hypothesis import strategies as st

from libs.domain.assets import COMPETES_WITHIN, asset_of
from libs.domain.identity import Listing
from libs.domain.numbers import number_of
from libs.domain.quotes import Quote
from tests.unit.domain.made_up import PRIORITIES, START, one_quote_a_listing, quote


@given(one_quote_a_listing, st.randoms(use_true_random=False))
def test_asset_is_the_same_in_whatever_order_its_quotes_came(quotes: list[Quote], order: random.Random) -> None:
    shuffled = order.sample(quotes, len(quotes))
    assert asset_of(shuffled, PRIORITIES) == asset_of(quotes, PRIORITIES)


@given(one_quote_a_listing)
def test_asset_takes_its_values_from_a_listing_that_agrees(quotes: list[Quote]) -> None:
    asset = asset_of(quotes, PRIORITIES)
    if asset is None:
        assert not quotes
        return
    taken = next(one for one in quotes if one.listing == asset.taken)
    sources = [listing.source for listing in asset.agreeing]
    assert {asset.anchor, asset.taken} <= set(asset.agreeing)
    assert len(sources) == len(set(sources)), "at most one listing a source"
    assert (asset.price_usd, asset.source_updated_at, asset.tick_id) == (taken.price_usd, taken.source_updated_at, taken.tick_id)
    assert asset.listings_total == len(quotes)
    assert asset.price_spread_percent is None or Decimal(asset.price_spread_percent) >= 0


def test_every_field_is_that_of_the_listing_that_it_is_taken_from() -> None:
    numbers = {name: number_of(place) for place, name in enumerate(Quote._fields[5:14], start=100)}
    best = quote(source_id="best", symbol="BEST", name="Best", market_cap_rank=1)
    taken = quote(
        **numbers,
        source="coinpaprika",
        source_id="taken",
        symbol="TAKEN",
        name="best",
        market_cap_rank=2,
        source_updated_at=START + timedelta(hours=1),
        fetched_at=START + timedelta(hours=2),
        tick_id=UUID(int=7),
    )
    asset = asset_of([best, taken], PRIORITIES)
    assert asset is not None
    assert asset._asdict() == numbers | {
        "asset_uid": "btc",
        "symbol": "BEST",
        "name": "Best",
        "market_cap_rank": 1,
        "anchor": best.listing,
        "taken": taken.listing,
        "agreeing": (best.listing, taken.listing),
        "listings_total": 2,
        "price_spread_percent": "0.000000",
        "source_updated_at": START + timedelta(hours=1),
        "fetched_at": START + timedelta(hours=2),
        "tick_id": UUID(int=7),
        "warnings": ("market_cap_disagrees",),
    }


@given(one_quote_a_listing.filter(bool))
def test_history_never_anchors_or_values_an_asset(quotes: list[Quote]) -> None:
    asset = asset_of(quotes, PRIORITIES)
    assert asset is not None
    horizon = max(one.source_updated_at for one in quotes) - COMPETES_WITHIN
    ages = {one.listing: one.source_updated_at for one in quotes}
    assert all(ages[listing] >= horizon for listing in asset.agreeing)


def test_best_rank_anchors_before_the_largest_market_cap() -> None:
    ranked = quote(source_id="ranked", market_cap_rank=7, market_cap_usd=number_of(1))
    for rank in (8, None, 0):
        large = quote(source_id="large", market_cap_rank=rank, market_cap_usd=number_of(10**12))
        asset = asset_of([large, ranked], PRIORITIES)
        assert asset is not None
        assert asset.anchor == ranked.listing


def test_a_quote_competes_for_seven_days_and_not_a_microsecond_longer() -> None:
    for age, competes in ((COMPETES_WITHIN, True), (COMPETES_WITHIN + timedelta(microseconds=1), False)):
        best_once = quote(source_id="best-once", market_cap_rank=1)
        newest = quote(source_id="newest", market_cap_rank=9, source_updated_at=START + age)
        asset = asset_of([best_once, newest], PRIORITIES)
        assert asset is not None
        assert (asset.anchor == best_once.listing) is competes


def test_without_ranks_the_largest_market_cap_anchors_then_the_source_then_the_id() -> None:
    def made(source: str, source_id: str, cap: int | None) -> Quote:
        known = None if cap is None else number_of(cap)
        return quote(source=source, source_id=source_id, market_cap_usd=known, market_cap_rank=None)

    ordered = [
        made("csv", "z", 5),
        made("coingecko", "b", 3),
        made("coingecko", "c", 3),
        made("csv", "a", 3),
        made("csv", "b", None),
    ]
    for first in range(len(ordered)):
        asset = asset_of(ordered[first:], PRIORITIES)
        assert asset is not None
        assert asset.anchor == ordered[first].listing


def test_values_come_from_the_freshest_listing_that_agrees_and_the_name_from_the_anchor() -> None:
    anchor = quote(name="Bitcoin", price_usd=number_of(100))
    fresher = quote(
        source="coinpaprika",
        source_id="btc-bitcoin",
        name="Bitcoin Token",
        market_cap_rank=2,
        price_usd=number_of(110),
        source_updated_at=START + timedelta(minutes=5),
    )
    asset = asset_of([anchor, fresher], PRIORITIES)
    assert asset is not None
    assert (asset.name, asset.market_cap_rank, asset.price_usd) == ("Bitcoin", 1, number_of(110))
    assert asset.price_spread_percent == "10.000000"


def test_a_listing_that_does_not_agree_loses_however_fresh_it_is() -> None:
    anchor = quote(asset_uid="dai", name="Dai", price_usd=number_of(1), market_cap_usd=number_of(10**9))
    daimler = quote(
        source="coinpaprika",
        source_id="dai-daimler-ag",
        name="Daimler AG",
        price_usd=number_of("1.01"),
        market_cap_usd=None,
        market_cap_rank=None,
        source_updated_at=START + timedelta(days=1),
    )
    asset = asset_of([daimler, anchor], PRIORITIES)
    assert asset is not None
    assert (asset.taken, asset.agreeing, asset.listings_total) == (anchor.listing, (anchor.listing,), 2)


def test_a_source_that_knows_no_price_does_not_hide_one_that_does() -> None:
    priced = quote()
    silent = quote(source="coinpaprika", source_id="btc-bitcoin", price_usd=None, source_updated_at=START + timedelta(hours=1))
    asset = asset_of([priced, silent], PRIORITIES)
    assert asset is not None
    assert asset.taken == Listing("coingecko", "bitcoin")


def test_spread_may_be_wider_than_the_default_context() -> None:
    tiny = quote(price_usd=number_of("1e-300"))
    huge = quote(source="csv", price_usd=number_of("1e300"))
    asset = asset_of([tiny, huge], PRIORITIES)
    assert asset is not None
    assert asset.price_spread_percent is not None
    assert Decimal(asset.price_spread_percent).adjusted() >= 602


def test_a_nameless_anchor_is_shown_by_its_symbol_and_links_nothing_by_it() -> None:
    nameless = quote(source="csv", name="", symbol="DASH", price_usd=number_of(150))
    dash = quote(source="coinpaprika", name="Dash", market_cap_rank=2, price_usd=number_of(20))
    asset = asset_of([nameless, dash], PRIORITIES)
    assert asset is not None
    assert (asset.name, asset.agreeing) == ("DASH", (nameless.listing,))


def test_no_quotes_make_no_asset() -> None:
    assert asset_of([], PRIORITIES) is None
