"""Made-up quotes: few symbols, names, prices and times, so that what should collide does."""

from datetime import UTC, datetime, timedelta
from uuid import UUID

from hypothesis import strategies as st

from libs.domain.numbers import number_of
from libs.domain.quotes import Quote

START = datetime(2026, 1, 1, tzinfo=UTC)
PRIORITIES = {"coingecko": 1, "coinpaprika": 2, "csv": 3}

times = st.sampled_from([START + timedelta(hours=hours) for hours in (0, 1, 2, 100, 24 * 7, 24 * 7 + 1, 24 * 30)])
prices = st.none() | st.sampled_from(["0", "1", "1.04", "1.06", "100", "3.84e-18", "1e300", "1e-300"]).map(number_of)
caps = st.none() | st.sampled_from(["0", "1000", "1200", "1300", "5e12"]).map(number_of)


def quote(**said: object) -> Quote:
    """Return a plain quote with what the test wants to say about it."""
    plain = {
        "source": "coingecko",
        "source_id": "bitcoin",
        "asset_uid": "btc",
        "symbol": "BTC",
        "name": "Bitcoin",
        "price_usd": number_of(100),
        "market_cap_usd": number_of(1000),
        "volume_24h_usd": None,
        "percent_change_1h": None,
        "percent_change_24h": None,
        "percent_change_7d": None,
        "circulating_supply": None,
        "total_supply": None,
        "max_supply": None,
        "market_cap_rank": 1,
        "source_updated_at": START,
        "fetched_at": START,
        "tick_id": UUID(int=1),
        "run_id": UUID(int=2),
    }
    return Quote(**(plain | said))  # type: ignore[arg-type]  # the test names the columns


quotes = st.builds(
    quote,
    source=st.sampled_from(["coingecko", "coinpaprika", "csv", "unheard-of"]),
    source_id=st.sampled_from(["a", "b", "c"]),
    name=st.sampled_from(["Bitcoin", "bitcoin coin", "Bitcoin (Sollet)", "Other", "\N{ROCKET}"]),
    price_usd=prices,
    market_cap_usd=caps,
    market_cap_rank=st.none() | st.integers(1, 3),
    source_updated_at=times,
    fetched_at=times,
    tick_id=st.integers(0, 5).map(lambda number: UUID(int=number)),
)
one_quote_a_listing = st.lists(quotes, max_size=10, unique_by=lambda made: made.listing)
