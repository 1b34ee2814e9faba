"""CoinPaprika's tickers: every field of its rows, missing numbers as 0, in no order that means anything."""

from datetime import UTC, datetime

from services.sandbox.market.market import Market, MarketListing, Ranked, Reading, percent_since
from services.sandbox.market.noise import chance, unit
from services.sandbox.market.spelling import go_number, go_percent, text, whole_seconds

_FIRST_LAUNCH = datetime(2010, 7, 17, tzinfo=UTC).timestamp()
_LAST_LAUNCH = datetime(2024, 6, 1, tzinfo=UTC).timestamp()
_PERCENT_FIELDS = ("15m", "30m", "1h", "6h", "12h", "24h", "7d", "30d", "1y")


class CoinPaprikaRows:
    """The rows of each step as JSON text, in the provider's order. A row is written once for each content."""

    def __init__(self, market: Market) -> None:
        self._market = market
        self._places = {listing.key: place for place, listing in enumerate(sorted(market.coinpaprika, key=_listed_order))}
        self._written: dict[int, tuple[int, int, str]] = {}
        self._step = -1
        self._rows: list[str] = []
        self._body = b""

    def at(self, step: int) -> list[str]:
        """Return all rows; the list is the caller's to read, not to change."""
        if step != self._step:
            ranked = self._market.ranked(self._market.coinpaprika, step)
            ranked.sort(key=lambda place: self._places[place.listing.key])
            self._rows = [self._row(place) for place in ranked]
            self._body = f"[{','.join(self._rows)}]".encode()
            self._step = step
        return self._rows

    def body_at(self, step: int) -> bytes:
        """Return all rows as the bytes of the whole answer: the same step, the same bytes."""
        self.at(step)
        return self._body

    def of(self, source_id: str, step: int) -> str | None:
        """Return the row of one listing."""
        start = f'{{"id":{text(source_id)},'
        return next((row for row in self.at(step) if row.startswith(start)), None)

    def _row(self, ranked: Ranked) -> str:
        listing, reading, rank = ranked
        written = self._written.get(listing.key)
        if written is None or written[:2] != (reading.changed_at, rank):
            updated_at = whole_seconds(self._market.updated_at(listing, reading))
            written = self._written[listing.key] = (reading.changed_at, rank, _row(listing, reading, rank, updated_at))
        return written[2]


def _listed_order(listing: MarketListing) -> float:
    """Roughly by age, as the provider has it: the largest coins near the front, in no order of rank."""
    return unit(listing.key, 21) ** (2 if "made-up" in listing.entry.source_id else 6)


def _row(listing: MarketListing, reading: Reading, rank: int, updated_at: str) -> str:
    coin, entry = listing.coin, listing.entry
    beta = round(3 * unit(coin.key, 22) - 0.5, 6) if not chance(coin.key, 23, 0.03) else 0
    launched_at = _FIRST_LAUNCH + (_LAST_LAUNCH - _FIRST_LAUNCH) * unit(coin.key, 24)
    return (
        f'{{"id":{text(entry.source_id)},"name":{text(entry.name)},"symbol":{text(entry.symbol)},"rank":{rank},'
        f'"circulating_supply":{round(coin.circulating or 0)},"total_supply":{round(coin.total or 0)},'
        f'"max_supply":{coin.max_supply or 0},"beta_value":{go_number(beta)},"first_data_at":"{whole_seconds(launched_at)}",'
        f'"last_updated":"{updated_at}","quotes":{{"USD":{{{_usd(listing, reading, launched_at)}}}}}}}'
    )


def _usd(listing: MarketListing, reading: Reading, launched_at: float) -> str:
    coin, step = listing.coin, reading.changed_at
    since = {
        horizon: 0.0 if coin.stale or (coin.young and horizon == "1y") else percent_since(coin, step, horizon)
        for horizon in _PERCENT_FIELDS
    }
    changes = ",".join(f'"percent_change_{horizon}":{go_percent(percent)}' for horizon, percent in since.items())
    return (
        f'"price":{go_number(reading.price_usd)},"volume_24h":{go_number(round(reading.volume_usd, 9))},'
        f'"volume_24h_change_24h":{go_percent(160 * unit(listing.key ^ 0x33, step) - 70)},'
        f'"market_cap":{reading.market_cap_usd},'
        f'"market_cap_change_24h":{go_percent(since["24h"]) if reading.market_cap_usd else 0},{changes},'
        + _all_time_high(listing, reading.price_usd, launched_at)
    )


def _all_time_high(listing: MarketListing, price_usd: float, launched_at: float) -> str:
    """One listing in 997 has none, as in the recorded answer."""
    key = listing.coin.key
    if key % 997 == 0:
        return '"ath_price":null,"ath_date":null,"percent_from_price_ath":null'
    high = listing.coin.price_usd * (1.6 + 40 * unit(key, 25) ** 3)
    at = whole_seconds(launched_at + (_LAST_LAUNCH - launched_at) * unit(key, 26))

    return f'"ath_price":{go_number(high)},"ath_date":"{at}","percent_from_price_ath":{go_percent(100 * (price_usd / high - 1))}'
