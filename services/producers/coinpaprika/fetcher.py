"""CoinPaprika's full ticker set, one answer."""

from collections.abc import Sequence
from dataclasses import dataclass

from libs.producing.fetching import Answer, FetchFailedError, NothingToDo, Permit
from libs.producing.provider import Provider
from libs.sources.answers import rows_in
from libs.sources.coinpaprika import SOURCE
from libs.sources.source import Source

EVERYTHING = "all"


@dataclass(frozen=True, slots=True)
class CoinPaprika:
    """All tickers in US dollars, unsorted."""

    provider: Provider
    source: Source = SOURCE

    async def shards(self) -> Sequence[str] | NothingToDo:
        """Return the one shard."""
        return [EVERYTHING]

    async def fetch(self, shard: str, permit: Permit) -> Answer:
        """Fetch all tickers."""
        if shard != EVERYTHING:
            raise FetchFailedError(f"CoinPaprika has no part {shard!r}, only {EVERYTHING!r}")
        rows = await self.provider.get("/tickers", {"quotes": "USD"}, permit, lambda body: rows_in(body, may_be_empty=False))
        now = self.provider.clock.utc()
        return Answer(rows, fetched_at=now, updated_at=now)
