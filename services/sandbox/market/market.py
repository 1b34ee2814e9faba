"""The market: what each listing says at each step, a pure function of (seed, listing, step).

Time goes in steps of `step_seconds` since the Unix epoch. At each step about `change_share` of a provider's listings get
new values; the others stay as they were, `last_updated` included. Only a rank may move without them, when a neighbour
overtook: so it is at the providers.
"""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from math import exp
from typing import Final, NamedTuple

from services.sandbox.market.coins import Coin, Entry, coins
from services.sandbox.market.noise import chance, drift, key_of, unit, walk

STALE_FOR_STEPS: Final = 5_000
"""How long a listing that its provider has forgotten says the same."""

HORIZONS: Final = {
    "15m": 4.0,
    "30m": 5.5,
    "1h": 8.0,
    "6h": 19.0,
    "12h": 27.0,
    "24h": 38.0,
    "7d": 100.0,
    "14d": 140.0,
    "30d": 200.0,
    "200d": 400.0,
    "1y": 600.0,
}
"""How many step volatilities a price may have moved since then. Made up beside the walk: a true look back would cost
eleven walks a row."""


@dataclass(frozen=True, slots=True)
class MarketListing:
    """A coin as one provider lists it."""

    coin: Coin
    entry: Entry
    key: int


class Reading(NamedTuple):
    """What a listing says since `changed_at` (a step); an unknown market cap is 0."""

    changed_at: int
    price_usd: float
    market_cap_usd: int
    volume_usd: float


class Ranked(NamedTuple):
    """A listing with its place by market cap; those of unknown market cap come last, in an order that never moves."""

    listing: MarketListing
    reading: Reading
    rank: int


class Market:
    """All listings of every provider. Keeps the newest reading of each, so that a step costs only what changed."""

    def __init__(
        self,
        seed: int,
        *,
        coingecko_listings: int = 1_000,
        coinpaprika_listings: int = 2_500,
        step_seconds: int = 60,
        change_share: float = 1 / 3,
    ) -> None:
        self.seed = seed
        self.step_seconds = step_seconds
        self.change_share = change_share
        listed = coins(seed, coingecko_listings=coingecko_listings, coinpaprika_listings=coinpaprika_listings)
        self.coingecko = _listings("coingecko", seed, ((coin, coin.coingecko) for coin in listed))
        self.coinpaprika = _listings("coinpaprika", seed, ((coin, coin.coinpaprika) for coin in listed))
        self.binance = _listings("binance", seed, _dollar_pairs(listed))
        self._held: dict[int, Reading] = {}
        self._longest_rest = max(1, round(8 / change_share)) if change_share else 0

    def ranked(self, listings: Sequence[MarketListing], step: int) -> list[Ranked]:
        """Return the listings as they stand at a step, largest market cap first."""
        readings = [(listing, self.reading(listing, step)) for listing in listings]
        readings.sort(key=lambda pair: (-pair[1].market_cap_usd, pair[0].key))
        return [Ranked(listing, reading, place) for place, (listing, reading) in enumerate(readings, start=1)]

    def reading(self, listing: MarketListing, step: int) -> Reading:
        """Return what a listing says at a step."""
        changed_at = self.changed_at(listing, step)
        held = self._held.get(listing.key)
        if held is None or held.changed_at != changed_at:
            held = self._held[listing.key] = _reading(listing, changed_at)
        return held

    def changed_at(self, listing: MarketListing, step: int) -> int:
        """Return the last step, up to this one, at which the listing got new values.

        Looking back ends at a step where it changes anyway, at most eight times as far as the mean.
        """
        if not self.change_share:
            return 0
        longest = STALE_FOR_STEPS if listing.coin.stale else self._longest_rest
        surely = step - (step + listing.key) % longest
        if listing.coin.stale:
            return max(surely, 0)
        for past in range(step, surely, -1):
            if chance(listing.key, past, self.change_share):
                return max(past, 0)
        return max(surely, 0)

    def updated_at(self, listing: MarketListing, reading: Reading) -> float:
        """Return when its values changed, in seconds of Unix time: a little before the step began, never after it."""
        earlier = unit(listing.key ^ 0xA5, 0) * min(self.step_seconds, 60)
        return max(reading.changed_at * self.step_seconds - earlier, 0.0)


def percent_since(coin: Coin, step: int, horizon: str) -> float:
    """Return the change of price since a horizon ago, in per cent; above -100."""
    moved = HORIZONS[horizon] * drift(coin.key ^ len(horizon) ^ ord(horizon[0]) << 8, step, 20)
    return 100 * (exp(coin.volatility * moved) - 1)


def _listings(source: str, seed: int, entries: Iterable[tuple[Coin, Entry | None]]) -> tuple[MarketListing, ...]:
    return tuple(
        MarketListing(coin, entry, key_of(seed, source, entry.source_id)) for coin, entry in entries if entry is not None
    )


def _dollar_pairs(listed: Iterable[Coin]) -> Iterator[tuple[Coin, Entry]]:
    """The well-known coins but Tether itself, each paired with Tether: a pair has no room for `made-up`, so none is made up."""
    for coin in listed:
        entry = coin.coinpaprika
        if entry is not None and "made-up" not in entry.source_id and entry.symbol.isalnum() and entry.symbol != "USDT":
            yield coin, Entry(f"{entry.symbol.upper()}USDT", entry.symbol, entry.name)


def _reading(listing: MarketListing, changed_at: int) -> Reading:
    coin = listing.coin
    spread = 1 + 0.2 * coin.volatility * (2 * unit(listing.key ^ 0x5A, changed_at) - 1)
    price = coin.price_usd * exp(coin.volatility * walk(coin.key, changed_at)) * spread
    market_cap = round(price * coin.circulating) if coin.circulating is not None else 0
    turnover = (0.002 + 0.1 * unit(coin.key, 12)) * exp(0.6 * drift(listing.key ^ 0x77, changed_at, 40))
    volume = turnover * (market_cap or 40_000 * unit(coin.key, 13))
    return Reading(changed_at, price, market_cap, 0.0 if coin.stale else volume)
