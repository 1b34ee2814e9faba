"""The canonical asset of an asset_uid: a pure function of the set of its quotes, the same in whatever order they came."""

from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime, timedelta
from decimal import Context, Decimal
from typing import NamedTuple
from uuid import UUID

from libs.domain.evidence import Evidence, evidence_between
from libs.domain.identity import Listing
from libs.domain.numbers import Number, number_of
from libs.domain.plausibility import warnings_of
from libs.domain.quotes import Quote

COMPETES_WITHIN = timedelta(days=7)
"""A quote this much older (event time) than the newest of its asset_uid is history, whatever its rank says."""

_SIXTH_PLACE = Decimal("0.000001")
_WIDE = Context(prec=1_000)
_PRICE, _SUPPLIES_END = Quote._fields.index("price_usd"), Quote._fields.index("market_cap_rank")
"""From the price to the supplies, in the same order in a quote and in an asset."""


class Asset(NamedTuple):
    """What the quotes of one asset_uid add up to. A named tuple because the normalizer makes one for nearly every tick.

    Name (its symbol where it has none), symbol and rank are the anchor's, so that they do not flicker between sources;
    the values are those of the listing taken, the freshest that agrees with the anchor. `price_spread_percent` is
    (highest - lowest) / lowest of the agreeing prices, in per cent, None with fewer than two.
    `listings_total` counts the losers too. `warnings` are those of libs.domain.plausibility.
    """

    asset_uid: str
    symbol: str
    name: str
    market_cap_rank: int | None
    anchor: Listing
    taken: Listing
    agreeing: tuple[Listing, ...]
    listings_total: int
    price_usd: Number | None
    market_cap_usd: Number | None
    volume_24h_usd: Number | None
    percent_change_1h: Number | None
    percent_change_24h: Number | None
    percent_change_7d: Number | None
    circulating_supply: Number | None
    total_supply: Number | None
    max_supply: Number | None
    price_spread_percent: Number | None
    source_updated_at: datetime
    fetched_at: datetime
    tick_id: UUID
    warnings: tuple[str, ...] = ()


def asset_of(quotes: Iterable[Quote], priorities: Mapping[str, int]) -> Asset | None:
    """Return the canonical asset of the quotes of one asset_uid, at most one a listing; None when there are none.

    `priorities` maps a source to its place, smaller first; a source it does not name comes last.
    """
    held = list(quotes)
    if not held:
        return None
    if len(held) == 1:  # most are: nothing to compare
        return _assemble(held[0], held[0], held, 1)
    competing = _competing(held)
    anchor = min(competing, key=lambda quote: _anchor_order(quote, priorities))
    same = [anchor, *_same_elsewhere(anchor, competing)]
    taken = max(same, key=lambda quote: _value_order(quote, priorities))
    return _assemble(anchor, taken, same, len(held))


def agreeing_with(anchor: Quote, quotes: Iterable[Quote]) -> dict[str, tuple[Evidence, Quote]]:
    """From each other source, the one listing with the best evidence of being the anchor's asset."""
    best: dict[str, tuple[Evidence, Quote]] = {}
    for quote in quotes:
        if quote.source == anchor.source:
            continue
        evidence = evidence_between(anchor, quote)
        if evidence is Evidence.NONE:
            continue
        held = best.get(quote.source)
        if held is None or _evidence_order(evidence, quote, anchor) < _evidence_order(*held, anchor):
            best[quote.source] = (evidence, quote)
    return best


def _competing(quotes: Sequence[Quote]) -> list[Quote]:
    horizon = max(quote.source_updated_at for quote in quotes) - COMPETES_WITHIN
    return [quote for quote in quotes if quote.source_updated_at >= horizon]


def _anchor_order(quote: Quote, priorities: Mapping[str, int]) -> tuple[bool, int, Decimal, int, str, str]:
    rank = quote.market_cap_rank or 0
    cap = Decimal(quote.market_cap_usd or 0)
    return rank <= 0, rank, -cap, _place(quote.source, priorities), quote.source_id, quote.source


def _same_elsewhere(anchor: Quote, competing: Sequence[Quote]) -> list[Quote]:
    best = agreeing_with(anchor, competing)
    return [best[source][1] for source in sorted(best)]


def _evidence_order(evidence: Evidence, quote: Quote, anchor: Quote) -> tuple[int, Decimal, Decimal, str]:
    """Smaller is better: the evidence, then the closer price, the larger market cap, the smallest source_id."""
    cap = Decimal(quote.market_cap_usd or 0)
    return -evidence, _distance(quote.price_usd, anchor.price_usd), -cap, quote.source_id


def _distance(one: Number | None, other: Number | None) -> Decimal:
    """0 for equal prices, 1 for unknown or wholly different ones."""
    low, high = sorted((Decimal(one or 0), Decimal(other or 0)))
    return 1 - low / high if low > 0 else Decimal(1)


def _value_order(quote: Quote, priorities: Mapping[str, int]) -> tuple[bool, datetime, int]:
    return quote.price_usd is not None, quote.source_updated_at, -_place(quote.source, priorities)


def _place(source: str, priorities: Mapping[str, int]) -> int:
    return priorities.get(source, len(priorities) + 1_000)


def _assemble(anchor: Quote, taken: Quote, same: Sequence[Quote], listings_total: int) -> Asset:
    """By position, by the tuple's own constructor: by name it takes twice as long. A test names them all."""
    named = anchor.listing
    fields = (
        anchor.asset_uid,
        anchor.symbol,
        anchor.name or anchor.symbol,
        anchor.market_cap_rank,
        named,
        named if taken is anchor else taken.listing,
        (named,) if len(same) == 1 else tuple(sorted(quote.listing for quote in same)),
        listings_total,
        *taken[_PRICE:_SUPPLIES_END],
        _spread(same),
        taken.source_updated_at,
        taken.fetched_at,
        taken.tick_id,
        warnings_of(anchor, taken, same),
    )
    return tuple.__new__(Asset, fields)


def _spread(same: Sequence[Quote]) -> Number | None:
    if len(same) == 1:
        return None
    prices = [price for quote in same if (price := Decimal(quote.price_usd or 0)) > 0]
    if len(prices) <= 1:
        return None
    spread = (max(prices) - min(prices)) / min(prices) * 100
    # The default context has 28 digits; a billionth of a cent beside a real price needs more before the sixth place.
    return number_of(spread.quantize(_SIXTH_PLACE, context=_WIDE))
