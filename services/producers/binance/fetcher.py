"""Binance's 24-hour tickers, one answer."""

from collections.abc import Sequence
from dataclasses import dataclass

from libs.producing.fetching import Answer, FetchFailedError, NothingToDo, Permit
from libs.producing.provider import Provider
from libs.sources.answers import rows_in
from libs.sources.binance import SOURCE, is_priced_in
from libs.sources.source import Source

EVERYTHING = "all"


@dataclass(frozen=True, slots=True)
class Binance:
    """Every pair that trades now and is priced in `quote_asset`; one that was delisted would be told of for ever."""

    provider: Provider
    quote_asset: str
    source: Source = SOURCE

    async def shards(self) -> Sequence[str] | NothingToDo:
        """Return the one shard."""
        return [EVERYTHING]

    async def fetch(self, shard: str, permit: Permit) -> Answer:
        """Fetch all pairs and keep those of the quote asset: which ones there are cannot be asked for by it."""
        if shard != EVERYTHING:
            raise FetchFailedError(f"Binance has no part {shard!r}, only {EVERYTHING!r}")
        rows = await self.provider.get("/ticker/24hr", {"symbolStatus": "TRADING"}, permit, self._rows)
        now = self.provider.clock.utc()
        return Answer(rows, fetched_at=now, updated_at=now)

    def _rows(self, body: bytes) -> list[bytes]:
        return [row for row in rows_in(body, may_be_empty=False) if is_priced_in(row, self.quote_asset)]
