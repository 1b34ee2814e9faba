"""The coins of the sandbox: the best-known ones as both providers list them, then as many made-up ones as asked for.

Their ids say so: every made-up coin has `made-up` in it. Numbers are floats here because nobody's money is in them.
"""

import csv
from collections.abc import Iterator
from dataclasses import dataclass, replace
from functools import cache
from itertools import count
from pathlib import Path
from typing import Final, NamedTuple

from services.sandbox.market.coin_names import names_of, one_in, slug_of, symbol_of, words_of
from services.sandbox.market.noise import chance, key_of, unit

KNOWN_COINS: Final = Path(__file__).with_name("known_coins.csv")
STABLE: Final = frozenset({"usdt", "usdc", "dai", "tusd", "eurt"})
STABLE_VOLATILITY: Final = 0.00004
HUGE_SUPPLY: Final = 9223372036854775807
"""What CoinPaprika says of coins without a bound."""


class Entry(NamedTuple):
    """How a provider lists a coin."""

    source_id: str
    symbol: str
    name: str


@dataclass(frozen=True, slots=True)
class Coin:
    """What is true of a coin whoever lists it. An unknown supply is None."""

    key: int
    price_usd: float
    volatility: float
    circulating: float | None
    total: float | None
    max_supply: int | None
    stale: bool
    young: bool
    coingecko: Entry | None
    coinpaprika: Entry | None


@cache
def _known_rows() -> tuple[dict[str, str], ...]:
    with KNOWN_COINS.open(encoding="utf-8", newline="") as file:
        return tuple(csv.DictReader(file))


def coins(seed: int, *, coingecko_listings: int, coinpaprika_listings: int) -> list[Coin]:
    """Return coins, the largest first, until both providers list as many as asked for.

    One in 17 of the made-up ones is unknown to CoinGecko, one in 12 to CoinPaprika. Asking for more leaves the rest as it was.
    """
    chosen: list[Coin] = []
    gecko, paprika = coingecko_listings, coinpaprika_listings
    for coin in _all_coins(seed):
        wanted = (coin.coingecko is not None and gecko > 0, coin.coinpaprika is not None and paprika > 0)
        if any(wanted):
            entries = coin.coingecko if wanted[0] else None, coin.coinpaprika if wanted[1] else None
            chosen.append(replace(coin, coingecko=entries[0], coinpaprika=entries[1]))
        gecko, paprika = gecko - wanted[0], paprika - wanted[1]
        if gecko <= 0 and paprika <= 0:
            return chosen
    raise AssertionError("the coins never end")


def _all_coins(seed: int) -> Iterator[Coin]:
    for row in _known_rows():
        yield _known(seed, row)
    taken = tuple(row["coinpaprika_symbol"] for row in reversed(_known_rows()))
    for index in count():
        yield _made_up(seed, index, taken)


def _known(seed: int, row: dict[str, str]) -> Coin:
    price = float(row["price_usd"])
    circulating = float(round(float(row["market_cap_million_usd"]) * 1e6 / price))
    max_supply = int(row["max_supply"]) if row["max_supply"] else None
    stable = row["coingecko_symbol"] in STABLE
    key = key_of(seed, row["coingecko_id"])
    return Coin(
        key=key,
        price_usd=price,
        volatility=STABLE_VOLATILITY if stable else 0.0008 + 0.0012 * unit(key, 1),
        circulating=circulating if max_supply is None else min(circulating, max_supply),
        total=max(circulating, 0.93 * max_supply) if max_supply else circulating,
        max_supply=max_supply,
        stale=False,
        young=False,
        coingecko=Entry(row["coingecko_id"], row["coingecko_symbol"], row["coingecko_name"]),
        coinpaprika=Entry(row["coinpaprika_id"], row["coinpaprika_symbol"], row["coinpaprika_name"]),
    )


def _made_up(seed: int, index: int, taken: tuple[str, ...]) -> Coin:
    slug = slug_of(" ".join(words_of(index)))
    key = key_of(seed, slug)
    price = _price_of(key, index)
    circulating, total, max_supply = _supplies_of(key, index, price)
    symbol, (gecko_name, paprika_name) = symbol_of(index, taken), names_of(index)
    on_coingecko, on_coinpaprika = not one_in(17, index, at=3), not one_in(12, index, at=5)
    return Coin(
        key=key,
        price_usd=price,
        volatility=0.001 + 0.003 * unit(key, 9),
        circulating=circulating,
        total=total,
        max_supply=max_supply,
        stale=one_in(211, index, at=100),
        young=one_in(10, index, at=6),
        coingecko=Entry(f"made-up-{slug}", symbol.lower(), gecko_name) if on_coingecko else None,
        coinpaprika=Entry(f"{slug_of(symbol)}-made-up-{slug}", symbol, paprika_name) if on_coinpaprika else None,
    )


def _supplies_of(key: int, index: int, price: float) -> tuple[float | None, float | None, int | None]:
    """Circulating, total and largest supply; a tail of coins whose supply, and so market cap, nobody knows."""
    market_cap = 3e7 * (0.7 + 0.6 * unit(key, 4)) / (1 + index / 40) ** 2
    unknown = price < _PRICE_OF_DUST or (index >= _TAIL_BEGINS and chance(key, 5, 0.5))
    circulating = None if unknown else market_cap / price
    if circulating is not None and not one_in(3, index, at=0):
        circulating = float(round(circulating))
    total = None if chance(key, 6, 0.2) else (circulating or 1e9) * (1 + unit(key, 7))
    if one_in(613, index, at=9):
        return circulating, total, HUGE_SUPPLY
    return circulating, total, round(total) if total is not None and chance(key, 8, 0.45) else None


def _price_of(key: int, index: int) -> float:
    """Mostly between 1e-6 and 100; one in twenty far smaller; two at the ends of what was ever recorded."""
    if index in _EXTREME_PRICES:
        return _EXTREME_PRICES[index]
    lowest, span = (-16, 9) if one_in(20, index, at=13) else (-6, 8)
    return float(10 ** (lowest + span * unit(key, 3)))


_PRICE_OF_DUST: Final = 1e-7
_TAIL_BEGINS: Final = 200
_EXTREME_PRICES: Final = {7: 98765.4321, 49: 3.84e-18}
