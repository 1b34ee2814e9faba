"""What looks wrong about an asset. How little of the recorded answers does is tested beside the sources."""

from datetime import timedelta
from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from libs.domain.assets import asset_of
from libs.domain.numbers import number_of
from libs.domain.plausibility import AssetWarning, warnings_of
from libs.domain.quotes import Quote
from tests.unit.domain.made_up import PRIORITIES, START, one_quote_a_listing, quote

NUMBERS = ("price_usd", "market_cap_usd", "volume_24h_usd", "percent_change_24h", "circulating_supply")


def said(**numbers: str | int) -> Quote:
    bare = dict.fromkeys(NUMBERS)
    return quote(**bare | {name: number_of(value) for name, value in numbers.items()})


def flags(one: Quote, *others: Quote) -> list[str]:
    asset = asset_of([one, *others], PRIORITIES)
    assert asset is not None
    return [str(warning) for warning in asset.warnings]


def test_a_market_cap_that_nobody_trades_is_flagged_and_so_is_one_that_changes_hands_ten_times_a_day() -> None:
    tico = said(price_usd="0.00136138", market_cap_usd=3_333_370_870_735, volume_24h_usd="5.4")
    assert flags(tico) == ["volume_implausible"]
    assert flags(said(market_cap_usd=100_000_000, volume_24h_usd=1_000)) == []
    assert flags(said(market_cap_usd=100_000_000, volume_24h_usd=999)) == ["volume_implausible"]
    assert flags(said(market_cap_usd=99_999_999, volume_24h_usd=0)) == [], "small ones are often not traded for a day"
    assert flags(said(market_cap_usd=100_000_000_000)) == [], "an unknown volume is none that looks wrong"
    assert flags(said(market_cap_usd=1_000, volume_24h_usd=10_000)) == []
    assert flags(said(market_cap_usd=1_000, volume_24h_usd=10_001)) == ["volume_implausible"]


def test_ten_times_the_price_or_a_tenth_of_it_within_a_day_is_flagged() -> None:
    for change, flagged in (("900", False), ("900.1", True), ("-90", False), ("-90.1", True), ("0", False)):
        assert (flags(said(percent_change_24h=change)) == ["price_jumped"]) is flagged


def test_a_market_cap_is_the_price_times_what_circulates() -> None:
    assert flags(said(price_usd=2, circulating_supply=1_000, market_cap_usd=4_000)) == []
    assert flags(said(price_usd=2, circulating_supply=1_000, market_cap_usd=4_001)) == ["market_cap_disagrees"]
    assert flags(said(price_usd=2, circulating_supply=1_000, market_cap_usd=999)) == ["market_cap_disagrees"]
    assert flags(said(price_usd=2, circulating_supply=0, market_cap_usd=999)) == []


def test_two_listings_of_one_asset_whose_prices_are_a_fifth_apart_are_flagged_if_both_are_of_a_day() -> None:
    def elsewhere(price: str, age: timedelta) -> Quote:
        told = said(price_usd=price)._replace(source="coinpaprika", source_id="btc-bitcoin", market_cap_rank=None)
        return told._replace(source_updated_at=START - age)

    here = said(price_usd=100)
    assert flags(here, elsewhere("120", timedelta(0))) == []
    assert flags(here, elsewhere("121", timedelta(0))) == ["price_disagrees"]
    assert flags(here, elsewhere("0.001", timedelta(hours=24))) == ["price_disagrees"]
    assert flags(here, elsewhere("121", timedelta(hours=25))) == []


def test_the_rank_is_the_anchors_so_what_is_wrong_with_the_anchor_is_told_too() -> None:
    anchor = said(price_usd=1, market_cap_usd=10**12, volume_24h_usd=5, percent_change_24h=1_000)
    fresher = said(price_usd=1)._replace(source="coinpaprika", source_id="x", source_updated_at=START + timedelta(minutes=1))
    assert flags(anchor, fresher) == ["volume_implausible"]


any_number = st.none() | st.sampled_from(["0", "1", "-95", "1e300", "1e-300", "9" * 400, "3.3e12"]).map(number_of)


@given(one_quote_a_listing, st.lists(st.tuples(*[any_number] * len(NUMBERS)), min_size=10, max_size=10), st.randoms())
def test_whatever_is_said_the_flags_are_the_same_in_any_order(plain: list[Quote], numbers: Any, chance: Any) -> None:
    quotes = [one._replace(**dict(zip(NUMBERS, said, strict=True))) for one, said in zip(plain, numbers, strict=False)]
    asset = asset_of(quotes, PRIORITIES)
    again = asset_of(chance.sample(quotes, len(quotes)), PRIORITIES)
    assert asset == again
    if asset is not None:
        assert set(asset.warnings) <= set(AssetWarning)
        same = [one for one in quotes if one.listing in asset.agreeing]
        anchor, taken = (next(one for one in same if one.listing == listing) for listing in (asset.anchor, asset.taken))
        assert warnings_of(anchor, taken, chance.sample(same, len(same))) == asset.warnings == tuple(sorted(asset.warnings))
