"""What the recorded answers of the real providers become: the full files where they are, the trimmed ones everywhere."""

import csv
from collections import defaultdict
from collections.abc import Iterable
from pathlib import Path

import msgspec
import pytest

from libs.domain.assets import Asset, agreeing_with, asset_of
from libs.domain.evidence import names_alike
from libs.domain.identity import asset_uid_of
from libs.domain.numbers import number_of
from libs.domain.plausibility import warnings_of
from libs.domain.quotes import Quote
from libs.sources.answers import rows_in
from libs.sources.catalogue import PRIORITIES, SOURCES
from tests.recorded import FIXTURES, RECORDED, needs_full_recordings
from tests.unit.sources.ticks import quote_of_row

TRIMMED = [
    ("coingecko", FIXTURES / "coingecko_markets.json", 10),
    ("coingecko", FIXTURES / "coingecko_stablecoins.json", 4),
    ("coinpaprika", FIXTURES / "coinpaprika_tickers.json", 13),
]
FULL = [
    ("coingecko", RECORDED / "payloads" / "coingecko_markets_2022-02-23_250rows.json", 250),
    ("coingecko", RECORDED / "payloads" / "coingecko_markets_stablecoins_2022-01-18_50rows.json", 50),
    ("coinpaprika", RECORDED / "payloads" / "coinpaprika_tickers_full_2021-08-12_3795rows.json", 3795),
]
ANSWERS = [pytest.param(*answer, id=answer[1].stem) for answer in TRIMMED] + [
    pytest.param(*answer, id=answer[1].stem, marks=needs_full_recordings) for answer in FULL
]


def quotes_in(source: str, answer: Path) -> list[Quote]:
    outcomes = [quote_of_row(SOURCES[source], row) for row in rows_in(answer.read_bytes())]
    return [outcome for outcome in outcomes if isinstance(outcome, Quote)]


def assets_in(quotes: Iterable[Quote]) -> dict[str, Asset]:
    by_uid: dict[str, list[Quote]] = defaultdict(list)
    for quote in quotes:
        by_uid[quote.asset_uid].append(quote)
    made = {uid: asset_of(of_uid, PRIORITIES) for uid, of_uid in by_uid.items()}
    return {uid: asset for uid, asset in made.items() if asset is not None}


@pytest.mark.parametrize(("source", "answer", "rows"), ANSWERS)
def test_every_recorded_row_gives_a_quote(source: str, answer: Path, rows: int) -> None:
    quotes = quotes_in(source, answer)
    assert len(quotes) == rows
    assert len({quote.listing for quote in quotes}) == rows


PAPRIKA = [
    pytest.param(FIXTURES / "coinpaprika_tickers.json", id="trimmed"),
    pytest.param(FULL[2][1], id="full", marks=needs_full_recordings),
]


@pytest.mark.parametrize("answer", PAPRIKA)
def test_colliding_symbols_are_the_coins_that_people_mean(answer: Path) -> None:
    assets = assets_in(quotes_in("coinpaprika", answer))
    assert {uid: assets[uid].name for uid in ("vet", "dash", "dai")} == {"vet": "VeChain", "dash": "Dash", "dai": "Dai"}


@pytest.mark.parametrize("answer", PAPRIKA)
def test_extreme_numbers_arrive_as_sent(answer: Path) -> None:
    quotes = quotes_in("coinpaprika", answer)
    assert number_of("3.84e-18") in {quote.price_usd for quote in quotes}
    assert number_of(9223372036854775807) in {quote.max_supply for quote in quotes}


@pytest.mark.parametrize(("source", "answer", "rows"), ANSWERS)
def test_every_digit_of_a_price_is_the_provider_s(source: str, answer: Path, rows: int) -> None:
    place = {"coingecko": "current_price", "coinpaprika": "price"}[source]
    for row, quote in zip(rows_in(answer.read_bytes()), quotes_in(source, answer), strict=True):
        fields = msgspec.json.decode(row, type=dict[str, msgspec.Raw])
        block = (
            fields
            if source == "coingecko"
            else msgspec.json.decode(fields["quotes"], type=dict[str, dict[str, msgspec.Raw]])["USD"]
        )
        assert quote.price_usd == number_of(bytes(block[place]).decode())


@needs_full_recordings
def test_repeated_symbols_of_the_full_answer_keep_all_their_listings() -> None:
    quotes = quotes_in(*FULL[2][:2])
    assets = assets_in(quotes)
    assert sum(asset.listings_total for asset in assets.values()) == 3795
    assert sum(asset.listings_total for asset in assets.values() if asset.listings_total > 1) == 533


def true_pairs() -> list[dict[str, str]]:
    with (RECORDED / "identity" / "pairs.csv").open(encoding="utf-8", newline="") as file:
        return list(csv.DictReader(file))


@needs_full_recordings
def test_names_alone_find_three_quarters_of_the_true_pairs() -> None:
    pairs = true_pairs()
    found = sum(names_alike(pair["coingecko_name"], pair["coinpaprika_name"]) for pair in pairs)
    assert found >= 0.75 * len(pairs)
    assert found >= 131, "it found 131 of 150 when this was written"


@needs_full_recordings
def test_no_two_different_coins_of_the_pairs_are_linked_by_name() -> None:
    pairs = true_pairs()
    wrong = [
        (one["coingecko_name"], other["coinpaprika_name"])
        for one in pairs
        for other in pairs
        if one is not other and names_alike(one["coingecko_name"], other["coinpaprika_name"])
    ]
    assert wrong == []


@needs_full_recordings
def test_a_coin_is_never_linked_to_another_listing_of_its_symbol() -> None:
    """Wrong pairs as the recorded answer has them: other coins under the same symbol."""
    by_uid: dict[str, list[Quote]] = defaultdict(list)
    for quote in quotes_in(*FULL[2][:2]):
        by_uid[quote.asset_uid].append(quote)
    rivals = 0
    for pair in true_pairs():
        asset_uid = asset_uid_of(pair["coingecko_symbol"])
        assert isinstance(asset_uid, str)
        candidates = by_uid[asset_uid]
        rivals += sum(quote.source_id != pair["coinpaprika_id"] for quote in candidates)
        if not any(quote.source_id == pair["coinpaprika_id"] for quote in candidates):
            continue
        anchor = candidates[0]._replace(
            source="coingecko", source_id=pair["coingecko_id"], name=pair["coingecko_name"], price_usd=None, market_cap_usd=None
        )
        linked = agreeing_with(anchor, candidates).get("coinpaprika")
        assert linked is None or linked[1].source_id == pair["coinpaprika_id"]
    assert rivals >= 10, "the recorded answer should offer wrong choices"


@needs_full_recordings
def test_few_of_the_recorded_listings_look_wrong_and_all_of_them_are() -> None:
    flagged: dict[str, dict[str, list[str]]] = {}
    for source, answer, _ in (FULL[0], FULL[2]):
        flagged[source] = defaultdict(list)
        for quote in quotes_in(source, answer):
            for warning in warnings_of(quote, quote, [quote]):
                flagged[source][warning].append(quote.source_id)
    assert flagged["coingecko"] == {"volume_implausible": ["ticoex-token", "safemoon"]}
    assert {warning: len(listings) for warning, listings in flagged["coinpaprika"].items()} == {
        "volume_implausible": 12,
        "price_jumped": 14,
    }


def test_the_coin_ranked_first_on_five_dollars_of_volume_is_shown_and_flagged() -> None:
    first = min(quotes_in("coingecko", TRIMMED[0][1]), key=lambda quote: quote.market_cap_rank or 1_000)
    (asset,) = assets_in([first]).values()
    assert (asset.name, asset.market_cap_rank, asset.warnings) == ("TICOEX Token", 1, ("volume_implausible",))
