"""CoinGecko's market list, a page a shard."""

from collections.abc import Sequence
from dataclasses import dataclass

from libs.producing.fetching import Answer, FetchFailedError, NothingToDo, Permit
from libs.producing.provider import Provider
from libs.sources.answers import rows_in
from libs.sources.coingecko import SOURCE
from libs.sources.source import Source

LARGEST_PAGE = 250
FIRST_PAGE = "1"


@dataclass(frozen=True, slots=True)
class CoinGecko:
    """The `top_n` coins by market cap. Pages shift between calls; what that repeats is dropped by its content."""

    provider: Provider
    top_n: int
    source: Source = SOURCE

    async def shards(self) -> Sequence[str] | NothingToDo:
        """Return the numbers of the pages."""
        pages = -(-self.top_n // self._page_size)
        return [str(page) for page in range(1, pages + 1)]

    async def fetch(self, shard: str, permit: Permit) -> Answer:
        """Fetch a page; the last is cut to what is asked for."""
        if not (shard.isascii() and shard.isdigit() and int(shard) > 0):
            raise FetchFailedError(f"CoinGecko has no page {shard!r}")
        query = {
            "vs_currency": "usd",
            "order": "market_cap_desc",
            "per_page": str(self._page_size),
            "page": shard,
            "sparkline": "false",
            "price_change_percentage": "1h,24h,7d",
        }
        rows = await self.provider.get("/coins/markets", query, permit, lambda body: _rows(body, shard))
        wanted = max(0, self.top_n - (int(shard) - 1) * self._page_size)
        now = self.provider.clock.utc()
        return Answer(rows[:wanted], fetched_at=now, updated_at=now)

    @property
    def _page_size(self) -> int:
        return min(LARGEST_PAGE, self.top_n)


def _rows(body: bytes, shard: str) -> list[bytes]:
    """An empty page is one behind the last coin, but the first is never empty."""
    return rows_in(body, may_be_empty=shard != FIRST_PAGE)
