"""Binance's 24-hour tickers: every field of its rows, numbers as strings with eight places, times in milliseconds."""

from services.sandbox.market.market import Market, MarketListing, Reading, percent_since
from services.sandbox.market.noise import unit
from services.sandbox.market.spelling import text

_DAY_MILLISECONDS = 86_400_000
_SMALLEST = 0.000_000_01
"""What the eight places can say; a cheaper coin is not listed."""


class BinanceRows:
    """The rows of each step as JSON text, in the order of the listings; after the pairs in dollars one that is not."""

    def __init__(self, market: Market) -> None:
        self._market = market
        self._step = -1
        self._rows: list[str] = []

    def at(self, step: int) -> list[str]:
        """Return all rows; the list is the caller's to read, not to change."""
        if step != self._step:
            pairs = [(listing, self._market.reading(listing, step)) for listing in self._market.binance]
            rows = [_row(listing, reading, self._market) for listing, reading in pairs if reading.price_usd >= _SMALLEST]
            self._rows, self._step = [*rows, *(row.replace("BTCUSDT", "BTCTRY", 1) for row in rows[:1])], step
        return self._rows


def _row(listing: MarketListing, reading: Reading, market: Market) -> str:
    coin, price = listing.coin, reading.price_usd
    percent = 0.0 if coin.stale else percent_since(coin, reading.changed_at, "24h")
    before = price / (1 + percent / 100)
    high, low = max(price, before) * 1.004, min(price, before) * 0.996
    volume = reading.volume_usd / price
    closes = int(market.updated_at(listing, reading) * 1000)
    trades = max(1, round(reading.volume_usd / 900))
    first = int(1e9 * unit(listing.key, 31))
    numbers = {
        "priceChange": price - before,
        "priceChangePercent": percent,
        "weightedAvgPrice": (price + before) / 2,
        "prevClosePrice": before,
        "lastPrice": price,
        "lastQty": volume / trades,
        "bidPrice": price * 0.9999,
        "bidQty": volume / 900,
        "askPrice": price * 1.0001,
        "askQty": volume / 1_100,
        "openPrice": before,
        "highPrice": high,
        "lowPrice": low,
        "volume": volume,
        "quoteVolume": reading.volume_usd,
    }
    written = ",".join(f'"{name}":"{number:.{3 if name.endswith("Percent") else 8}f}"' for name, number in numbers.items())
    return (
        f'{{"symbol":{text(listing.entry.source_id)},{written},"openTime":{closes - _DAY_MILLISECONDS},"closeTime":{closes},'
        f'"firstId":{first},"lastId":{first + trades - 1},"count":{trades}}}'
    )
