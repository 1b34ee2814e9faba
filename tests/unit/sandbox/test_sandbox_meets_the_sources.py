"""What the sandbox says, read by the code that reads the real providers."""

import json
from collections import defaultdict
from datetime import UTC, datetime
from uuid import UUID

import msgspec
import pytest

from libs.contracts.raw_tick import RawTickFrame
from libs.domain.assets import asset_of
from libs.domain.identity import Listing, tick_id_of
from libs.domain.quotes import Quote
from libs.domain.rejections import Rejection
from libs.domain.shapes import Shape, compared, learned, sight
from libs.sources.answers import rows_in
from libs.sources.binance import is_priced_in
from libs.sources.catalogue import PRIORITIES, SOURCES
from services.sandbox.faults.drift import DriftKind, drifted
from services.sandbox.faults.poison import PoisonKind, poisoned
from services.sandbox.market.market import Market
from services.sandbox.providers.binance_rows import BinanceRows
from services.sandbox.providers.coingecko_rows import CoinGeckoRows
from services.sandbox.providers.coinpaprika_rows import CoinPaprikaRows
from tests.recorded import FIXTURES

STEP = 29_000_000
FETCHED_AT = datetime.fromtimestamp(STEP * 60 + 1, UTC)


@pytest.fixture(scope="module")
def market() -> Market:
    return Market(1)


@pytest.fixture(scope="module")
def answers(market: Market) -> dict[str, list[str]]:
    coingecko = CoinGeckoRows(market)
    return {
        "coingecko": [coingecko.row(ranked, ("1h", "24h", "7d"), sparkline=False) for ranked in coingecko.ranked(STEP)],
        "coinpaprika": CoinPaprikaRows(market).at(STEP),
        "binance": [row for row in BinanceRows(market).at(STEP) if is_priced_in(row.encode(), "USDT")],
    }


def quote_or_rejection(source: str, row: bytes) -> Quote | Rejection:
    identity = SOURCES[source].identify(row, FETCHED_AT)
    if isinstance(identity, Rejection):
        return identity
    tick_id = tick_id_of(source, identity.source_id, row)
    frame = RawTickFrame(
        tick_id,
        source,
        identity.source_id,
        identity.asset_uid,
        UUID(int=0),
        FETCHED_AT,
        identity.source_updated_at,
        msgspec.Raw(row),
    )
    return SOURCES[source].quote_of(frame)


def quotes(source: str, rows: list[str]) -> list[Quote | Rejection]:
    return [quote_or_rejection(source, row) for row in rows_in(f"[{','.join(rows)}]".encode())]


@pytest.mark.parametrize("source", ["coingecko", "coinpaprika", "binance"])
def test_every_row_can_be_read(source: str, answers: dict[str, list[str]]) -> None:
    assert [said for said in quotes(source, answers[source]) if isinstance(said, Rejection)] == []


@pytest.mark.parametrize("source", ["coingecko", "coinpaprika"])
def test_every_kind_of_poison_is_set_aside_and_its_neighbours_live(source: str, answers: dict[str, list[str]]) -> None:
    rows = answers[source][:200]
    said = quotes(source, poisoned(rows, PoisonKind))
    assert sum(isinstance(quote, Rejection) for quote in said) == len(PoisonKind)
    assert [quote for quote in said if isinstance(quote, Quote)] == quotes(source, rows)


def test_the_same_coin_is_found_on_both_sides_and_never_a_wrong_one(market: Market, answers: dict[str, list[str]]) -> None:
    coins = {Listing("coingecko", listing.entry.source_id): listing.coin.key for listing in market.coingecko}
    coins |= {Listing("coinpaprika", listing.entry.source_id): listing.coin.key for listing in market.coinpaprika}
    by_uid: dict[str, list[Quote]] = defaultdict(list)
    coins |= {Listing("binance", listing.entry.source_id): listing.coin.key for listing in market.binance}
    for source, rows in answers.items():
        for quote in quotes(source, rows):
            assert isinstance(quote, Quote)
            by_uid[quote.asset_uid].append(quote)
    assets = {uid: asset_of(same_uid, PRIORITIES) for uid, same_uid in by_uid.items()}
    agreeing = [asset.agreeing for asset in assets.values() if asset and len(asset.agreeing) > 1]
    assert len(agreeing) > 800
    assert all(len({coins[listing] for listing in listings}) == 1 for listings in agreeing)
    names = [asset.name for uid in ("vet", "dash", "dai", "eos") if (asset := assets[uid])]
    assert names == ["VeChain", "Dash", "Dai", "EOS"]


@pytest.mark.parametrize("source", ["coingecko", "coinpaprika"])
def test_drift_is_what_the_producers_take_for_drift_and_the_rows_are_still_read(
    source: str, answers: dict[str, list[str]]
) -> None:
    rows = answers[source]
    known = learned(Shape(), "1", sight(map(json.loads, rows)))
    seen = sight(map(json.loads, drifted(rows, DriftKind)))
    told = compared(known, "1", seen, rows=len(rows), others={})[1]
    assert sorted(one.kind for one in told) == ["missing", "new", "retyped"]
    assert not any(isinstance(said, Rejection) for said in quotes(source, drifted(rows, DriftKind)))


def test_binance_lists_what_is_known_in_dollars_and_a_pair_that_is_not(market: Market, answers: dict[str, list[str]]) -> None:
    rows = BinanceRows(market).at(STEP)
    assert len(rows) - len(answers["binance"]) == 1
    documented = msgspec.json.decode((FIXTURES / "binance_24hr.json").read_bytes())[0]
    assert all(list(msgspec.json.decode(row)) == list(documented) for row in rows)
    pairs = [msgspec.json.decode(row)["symbol"] for row in rows]
    assert len(set(pairs)) == len(pairs) > 100
    assert {"BTCUSDT", "ETHUSDT", "BTCTRY"} < set(pairs)
    assert "USDTUSDT" not in pairs
