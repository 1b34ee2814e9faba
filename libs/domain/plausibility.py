"""Whether what an asset shows can be true. What looks wrong is flagged, and shown all the same.

The thresholds were chosen by looking at the recorded answers: of their 4,045 listings they flag 28 (test_recorded_answers.py).
Numbers are compared as binary floats: nothing that is computed here is stored.
"""

from collections.abc import Sequence
from datetime import timedelta
from enum import StrEnum

from libs.domain.numbers import Number
from libs.domain.quotes import Quote

LARGE_MARKET_CAP_USD = 100_000_000.0
LEAST_TURNOVER = 1e-5
"""A day's volume as a share of the market cap: of 100,000,000 dollars less than 1,000 change hands."""
MOST_TURNOVER = 10.0
"""No asset changes hands ten times a day."""
JUMP_UP_PERCENT, JUMP_DOWN_PERCENT = 900.0, -90.0
"""In 24 hours, as the provider says: ten times the price, or a tenth of it."""
PRICES_APART = 1.2
"""Times the lower price. Providers of the same asset differ by one per cent or two."""
TOLD_WITHIN = timedelta(days=1)
"""Of each other, for two prices to be comparable: a file may be a week old."""
MARKET_CAP_OFF = 2.0
"""Times price times circulating supply, which is what a market cap is."""


class AssetWarning(StrEnum):
    """What looks wrong about an asset; a closed set."""

    VOLUME_IMPLAUSIBLE = "volume_implausible"
    PRICE_JUMPED = "price_jumped"
    PRICE_DISAGREES = "price_disagrees"
    MARKET_CAP_DISAGREES = "market_cap_disagrees"


def warnings_of(anchor: Quote, taken: Quote, same: Sequence[Quote]) -> tuple[AssetWarning, ...]:
    """Return what looks wrong, sorted: about the values, which are `taken`'s, and about the rank, which is the anchor's.

    `same` are the quotes of the listings that agree, both of these among them; their order says nothing.
    """
    found = set(_of_quote(taken))
    if anchor is not taken:
        found.update(warning for warning in _of_quote(anchor) if warning is not AssetWarning.PRICE_JUMPED)
    if len(same) > 1 and _prices_are_apart(taken, same):
        found.add(AssetWarning.PRICE_DISAGREES)
    return tuple(sorted(found)) if found else ()


def _of_quote(quote: Quote) -> list[AssetWarning]:
    found: list[AssetWarning] = []
    cap = _value(quote.market_cap_usd)
    if cap > 0:
        if quote.volume_24h_usd is not None:
            turnover = float(quote.volume_24h_usd) / cap
            if turnover > MOST_TURNOVER or (cap >= LARGE_MARKET_CAP_USD and turnover < LEAST_TURNOVER):
                found.append(AssetWarning.VOLUME_IMPLAUSIBLE)
        worth = _value(quote.price_usd) * _value(quote.circulating_supply)
        if worth > 0 and not cap / MARKET_CAP_OFF <= worth <= cap * MARKET_CAP_OFF:
            found.append(AssetWarning.MARKET_CAP_DISAGREES)
    if quote.percent_change_24h is not None:
        change = float(quote.percent_change_24h)
        if change > JUMP_UP_PERCENT or change < JUMP_DOWN_PERCENT:
            found.append(AssetWarning.PRICE_JUMPED)
    return found


def _prices_are_apart(taken: Quote, same: Sequence[Quote]) -> bool:
    prices = [
        price
        for quote in same
        if abs(taken.source_updated_at - quote.source_updated_at) <= TOLD_WITHIN and (price := _value(quote.price_usd)) > 0
    ]
    return bool(prices) and max(prices) > PRICES_APART * min(prices)


def _value(number: Number | None) -> float:
    return 0.0 if number is None else float(number)
