"""Candles as one would make them with a pencil: sort all that was ever told, and look. What SQL makes is held against this."""

from collections import defaultdict
from collections.abc import Iterable
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import NamedTuple
from uuid import UUID

from libs.domain.candles import bucket_at
from libs.domain.identity import Listing
from libs.domain.quotes import Quote, freshness

Key = tuple[Listing, datetime]


class ByHand(NamedTuple):
    open: Decimal
    high: Decimal
    low: Decimal
    close: Decimal
    ticks: int


def candles_of(told: Iterable[Quote], width: timedelta) -> dict[Key, ByHand]:
    """Of all tellings, in any order and however often."""
    held: defaultdict[Key, list[Quote]] = defaultdict(list)
    for quote in told:
        if quote.price_usd is not None:
            held[quote.listing, bucket_at(quote.source_updated_at.astimezone(UTC), width)].append(quote)
    return {key: _candle(quotes) for key, quotes in held.items()}


def _candle(quotes: list[Quote]) -> ByHand:
    prices = [Decimal(quote.price_usd or 0) for quote in sorted(quotes, key=freshness)]
    different = {(quote.source_updated_at, quote.tick_id) for quote in quotes}
    return ByHand(prices[0], max(prices), min(prices), prices[-1], len(different))


def ticks_of(told: Iterable[Quote]) -> dict[tuple[Listing, datetime, UUID], tuple[Decimal | None, datetime, datetime]]:
    """What the history holds of them: the price, and when it was fetched first and last."""
    held: defaultdict[tuple[Listing, datetime, UUID], list[Quote]] = defaultdict(list)
    for quote in told:
        held[quote.listing, quote.source_updated_at, quote.tick_id].append(quote)
    return {
        key: (
            None if quotes[0].price_usd is None else Decimal(quotes[0].price_usd),
            min(quote.fetched_at for quote in quotes),
            max(quote.fetched_at for quote in quotes),
        )
        for key, quotes in held.items()
    }
