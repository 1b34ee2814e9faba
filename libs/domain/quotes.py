"""A quote: what one listing said at one event time."""

from datetime import datetime
from functools import partial
from typing import NamedTuple
from uuid import UUID

from libs.domain.identity import Listing
from libs.domain.numbers import Number

_listing = partial(tuple.__new__, Listing)
"""By the tuple's own constructor, in half of the time: the normalizer makes one for every tick."""


class Quote(NamedTuple):
    """One listing's values at `source_updated_at`. Money is in US dollars, percentages are per cent (4.2 is 4.2 %).

    `name` is empty where the row has none. A named tuple because the normalizer makes one for
    every tick; its field order is also the column order of `quotes`.
    """

    source: str
    source_id: str
    asset_uid: str
    symbol: str
    name: str
    price_usd: Number | None
    market_cap_usd: Number | None
    volume_24h_usd: Number | None
    percent_change_1h: Number | None
    percent_change_24h: Number | None
    percent_change_7d: Number | None
    circulating_supply: Number | None
    total_supply: Number | None
    max_supply: Number | None
    market_cap_rank: int | None
    source_updated_at: datetime
    fetched_at: datetime
    tick_id: UUID
    run_id: UUID

    @property
    def listing(self) -> Listing:
        """The listing that said it."""
        return _listing(self[:2])


def freshness(quote: Quote) -> tuple[datetime, datetime, int]:
    """Event time first; the rest only breaks ties the same way everywhere.

    Order of arrival never decides, so a replay changes nothing; `quotes.UPSERT_NEWEST` puts them in the same order. The
    tick_id as a number: an answer's ticks have their times in common, and UUIDs take ten times as long to compare.
    """
    return quote.source_updated_at, quote.fetched_at, quote.tick_id.int
