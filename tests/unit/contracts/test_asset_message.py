"""The hot path writes by position and in pieces: what it writes is the contract's Asset, field by field."""

import json
from datetime import UTC, datetime

from hypothesis import given
from hypothesis import strategies as st

from libs.contracts.asset import Asset, encode_asset
from libs.domain import assets as domain
from libs.domain.identity import Listing
from libs.domain.numbers import number_of
from libs.domain.plausibility import AssetWarning

texts = st.text(st.characters(exclude_categories=["Cs"]), min_size=1, max_size=20)
listings = st.builds(Listing, st.sampled_from(["coingecko", "coinpaprika", "csv"]), texts)
numbers = st.none() | st.decimals(allow_nan=False, allow_infinity=False).map(number_of)
times = st.datetimes(datetime(2009, 1, 1), datetime(2200, 1, 1), timezones=st.just(UTC))  # noqa: DTZ001 - hypothesis adds the zone


@st.composite
def assets(draw: st.DrawFn) -> domain.Asset:
    """Any asset: alone, or with listings that agree, of which another may be the one taken."""
    agreeing = draw(st.lists(listings, min_size=1, max_size=3, unique=True).map(sorted))
    return domain.Asset(
        asset_uid=draw(texts),
        symbol=draw(texts),
        name=draw(texts),
        market_cap_rank=draw(st.none() | st.integers(1, 2**31 - 1)),
        anchor=draw(st.sampled_from(agreeing)),
        taken=draw(st.sampled_from(agreeing)),
        agreeing=tuple(agreeing),
        listings_total=draw(st.integers(1, 9)),
        price_usd=draw(numbers),
        market_cap_usd=draw(numbers),
        volume_24h_usd=draw(numbers),
        percent_change_1h=draw(numbers),
        percent_change_24h=draw(numbers),
        percent_change_7d=draw(numbers),
        circulating_supply=draw(numbers),
        total_supply=draw(numbers),
        max_supply=draw(numbers),
        price_spread_percent=draw(numbers),
        source_updated_at=draw(times),
        fetched_at=draw(times),
        tick_id=draw(st.uuids()),
        warnings=tuple(draw(st.lists(st.sampled_from(sorted(AssetWarning)), max_size=2))),
    )


@given(assets(), st.integers(1, 2**63 - 1))
def test_message_says_what_the_asset_is(asset: domain.Asset, version: int) -> None:
    value = encode_asset(asset, version)
    told = Asset.decode(value)
    assert set(json.loads(value)) == set(Asset.model_fields)
    assert told.version == version
    for name, held in asset._asdict().items():
        said = getattr(told, name)
        if name in {"anchor", "taken"}:
            assert (said.source, said.source_id) == held
        elif name == "agreeing":
            assert tuple((one.source, one.source_id) for one in said) == held
        elif name in _NUMBERS:
            assert (None if said is None else number_of(said)) == held, name
        else:
            assert said == held, name


_NUMBERS = {name for name, field in Asset.model_fields.items() if "Decimal" in str(field.annotation)}


def test_all_numbers_are_compared_by_their_digits() -> None:
    assert len(_NUMBERS) == 10
