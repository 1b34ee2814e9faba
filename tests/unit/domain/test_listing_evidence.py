import pytest
from hypothesis import given
from hypothesis import strategies as st

from libs.domain.evidence import Evidence, evidence_between, names_alike, numbers_agree
from libs.domain.numbers import number_of
from libs.domain.quotes import Quote
from tests.unit.domain.made_up import quote, quotes

names = st.text(max_size=12) | st.sampled_from(
    ["Dai", "DAI Token", "(Dai)", "Coin", "Coin Token", "Stra\N{LATIN SMALL LETTER SHARP S}e", "STRASSE"]
)


@given(names, names)
def test_alike_does_not_depend_on_who_is_asked(one: str, other: str) -> None:
    assert names_alike(one, other) == names_alike(other, one)


@given(quotes, quotes)
def test_evidence_does_not_depend_on_who_is_asked(one: Quote, other: Quote) -> None:
    assert evidence_between(one, other) is evidence_between(other, one)


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("Dai", "DAI"),
        ("Basic Attention Token", "Basic Attention"),
        ("Compound Coin", "Compound"),
        ("Tether (Avalanche)", "Tether"),
        ("0x Protocol", "0x"),
        ("Yearn.finance", "yearn finance"),
        ("Token", "token"),
    ],
)
def test_spelling_and_filler_do_not_part_names(one: str, other: str) -> None:
    assert names_alike(one, other)


@pytest.mark.parametrize(
    ("one", "other"), [("Dai", "Daimler AG"), ("VeChain", "Veteran"), ("", ""), ("\N{ROCKET}", "\N{ROCKET}"), ("Coin", "Token")]
)
def test_what_says_little_is_no_evidence(one: str, other: str) -> None:
    assert not names_alike(one, other)


def test_numbers_agree_within_five_and_twenty_five_per_cent() -> None:
    held = quote(price_usd=number_of(100), market_cap_usd=number_of(1000))
    assert numbers_agree(held, quote(price_usd=number_of(95), market_cap_usd=number_of(750)))
    assert not numbers_agree(held, quote(price_usd=number_of("94.9"), market_cap_usd=number_of(1000)))
    assert not numbers_agree(held, quote(price_usd=number_of(100), market_cap_usd=number_of(749)))
    assert not numbers_agree(held, quote(price_usd=number_of(100), market_cap_usd=None))
    assert not numbers_agree(held, quote(price_usd=None, market_cap_usd=number_of(1000)))


def test_a_price_alone_is_no_evidence_and_both_kinds_are_the_best() -> None:
    held = quote(name="Dai")
    assert evidence_between(held, quote(name="Daimler", market_cap_usd=None)) is Evidence.NONE
    assert evidence_between(held, quote(name="Multi Collateral Dai")) is Evidence.NUMBERS
    assert evidence_between(held, quote(name="DAI", price_usd=None)) is Evidence.NAME
    assert evidence_between(held, quote(name="DAI")) is Evidence.NAME_AND_NUMBERS
