"""CoinGecko's markets: every field of its rows, missing numbers as null, with the windows of change that were asked for."""

from collections.abc import Callable, Mapping, Sequence
from datetime import UTC, datetime
from typing import Final

from services.sandbox.market.market import Market, MarketListing, Ranked, Reading, percent_since
from services.sandbox.market.noise import chance, unit, walk
from services.sandbox.market.spelling import milliseconds, ruby_float, ruby_price, text

WINDOWS: Final = ("14d", "1h", "1y", "200d", "24h", "30d", "7d")
"""In the order that the provider writes them."""

ORDERS: Final[Mapping[str, tuple[Callable[[Ranked], tuple[object, ...]], bool]]] = {
    "market_cap_desc": (lambda ranked: (ranked.rank,), False),
    "market_cap_asc": (lambda ranked: (ranked.rank,), True),
    "volume_desc": (lambda ranked: (ranked.reading.volume_usd,), True),
    "volume_asc": (lambda ranked: (ranked.reading.volume_usd,), False),
    "id_asc": (lambda ranked: (ranked.listing.entry.source_id,), False),
    "id_desc": (lambda ranked: (ranked.listing.entry.source_id,), True),
}
"""By the name of the parameter: what to sort by, and whether the largest comes first."""

_YOUNG_LACK = ("1y", "200d")
_FIRST_PEAK = datetime(2017, 12, 1, tzinfo=UTC).timestamp()
_LAST_PEAK = datetime(2024, 12, 1, tzinfo=UTC).timestamp()
_SPARKLINE_POINTS = 168
_HOUR_SECONDS = 3600
_WHOLE_VOLUME = 1_000
"""From here on the provider leaves the cents out."""


class CoinGeckoRows:
    """The rows of each step as JSON text. What does not depend on the question is written once for each content."""

    def __init__(self, market: Market) -> None:
        self._market = market
        self._written: dict[int, tuple[int, int, str]] = {}
        self._step = -1
        self._ranked: list[Ranked] = []

    def ranked(self, step: int) -> list[Ranked]:
        """Return all listings by market cap; the list is the caller's to read, not to change."""
        if step != self._step:
            self._ranked = self._market.ranked(self._market.coingecko, step)
            self._step = step
        return self._ranked

    def row(self, ranked: Ranked, windows: Sequence[str], *, sparkline: bool) -> str:
        """Return one row."""
        listing, reading, rank = ranked
        written = self._written.get(listing.key)
        if written is None or written[:2] != (reading.changed_at, rank):
            updated_at = milliseconds(self._market.updated_at(listing, reading))
            written = self._written[listing.key] = (reading.changed_at, rank, _row(listing, reading, rank, updated_at))
        points = f',"sparkline_in_7d":{{"price":[{self._sparkline(listing, reading)}]}}' if sparkline else ""
        return f"{written[2]}{points}{_changes(listing, reading, windows)}}}"

    def _sparkline(self, listing: MarketListing, reading: Reading) -> str:
        coin = listing.coin
        hour = max(1, _HOUR_SECONDS // self._market.step_seconds)
        steps = range(reading.changed_at - hour * (_SPARKLINE_POINTS - 1), reading.changed_at + 1, hour)
        return ",".join(ruby_float(coin.price_usd * (1 + coin.volatility * walk(coin.key, step))) for step in steps)


def _changes(listing: MarketListing, reading: Reading, windows: Sequence[str]) -> str:
    lacking = WINDOWS if listing.coin.stale else _YOUNG_LACK if listing.coin.young else ()
    percents = {
        window: None if window in lacking else percent_since(listing.coin, reading.changed_at, window)
        for window in WINDOWS
        if window in windows
    }
    return "".join(f',"price_change_percentage_{window}_in_currency":{ruby_float(percents[window])}' for window in percents)


def _row(listing: MarketListing, reading: Reading, rank: int, updated_at: str) -> str:
    """Everything up to last_updated, the object left open."""
    coin, entry = listing.coin, listing.entry
    supply = ruby_float(coin.circulating or 0.0)
    total = ruby_float(float(coin.total)) if coin.total else "null"
    most = ruby_float(float(coin.max_supply)) if coin.max_supply else "null"
    diluted = round(reading.price_usd * coin.max_supply) if coin.max_supply and reading.market_cap_usd else "null"
    volume = str(round(reading.volume_usd)) if reading.volume_usd >= _WHOLE_VOLUME else ruby_float(round(reading.volume_usd, 2))
    return (
        f'{{"id":{text(entry.source_id)},"symbol":{text(entry.symbol)},"name":{text(entry.name)},'
        f'"image":"sandbox:coins/{entry.source_id}.png","current_price":{ruby_price(reading.price_usd)},'
        f'"market_cap":{reading.market_cap_usd},"market_cap_rank":{rank if reading.market_cap_usd else "null"},'
        f'"fully_diluted_valuation":{diluted},"total_volume":{volume},{_last_day(listing, reading)},'
        f'"circulating_supply":{supply},"total_supply":{total},"max_supply":{most},'
        f'{_extremes(listing, reading)},"roi":{_return_on_investment(listing)},"last_updated":"{updated_at}"'
    )


def _last_day(listing: MarketListing, reading: Reading) -> str:
    """The provider has no last day for a listing that it has lost sight of."""
    names = ("price_change_24h", "price_change_percentage_24h", "market_cap_change_24h", "market_cap_change_percentage_24h")
    if listing.coin.stale:
        return ",".join(f'"{name}":null' for name in ("high_24h", "low_24h", *names))
    percent = percent_since(listing.coin, reading.changed_at, "24h")
    before = reading.price_usd / (1 + percent / 100)
    low, high = sorted((before, reading.price_usd))
    cap_moved = reading.market_cap_usd - reading.market_cap_usd / (1 + percent / 100)
    cap_change = str(round(cap_moved)) if chance(listing.key, 31, 0.9) else ruby_float(cap_moved)
    changes = (ruby_float(reading.price_usd - before), ruby_float(round(percent, 5)), cap_change, ruby_float(round(percent, 5)))
    written = ",".join(f'"{name}":{change}' for name, change in zip(names, changes, strict=True))
    return f'"high_24h":{ruby_price(high * 1.004)},"low_24h":{ruby_price(low * 0.996)},{written}'


def _extremes(listing: MarketListing, reading: Reading) -> str:
    key, price = listing.coin.key, listing.coin.price_usd
    high, low = price * (1.6 + 40 * unit(key, 25) ** 3), price * 0.5 * unit(key, 32) ** 2
    at_high, at_low = (milliseconds(_FIRST_PEAK + (_LAST_PEAK - _FIRST_PEAK) * unit(key, index)) for index in (33, 34))
    return (
        f'"ath":{ruby_price(high)},"ath_change_percentage":{ruby_float(round(100 * (reading.price_usd / high - 1), 5))},'
        f'"ath_date":"{at_high}","atl":{ruby_price(low)},'
        f'"atl_change_percentage":{ruby_float(round(100 * (reading.price_usd / low - 1), 5))},"atl_date":"{at_low}"'
    )


def _return_on_investment(listing: MarketListing) -> str:
    """One listing in five was sold to the public once."""
    if not chance(listing.coin.key, 35, 0.2):
        return "null"
    times = 60 * unit(listing.coin.key, 36) ** 4 - 0.99
    return f'{{"times":{ruby_float(times)},"currency":"usd","percentage":{ruby_float(100 * times)}}}'
