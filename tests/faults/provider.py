"""The sandbox as the suite orders it about: faults, time, requests, and what it answers now."""

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any
from uuid import UUID

import aiohttp

from libs.domain.identity import Listing, tick_id_of
from libs.domain.rejections import Rejection
from libs.sources.answers import rows_in
from libs.sources.catalogue import SOURCES

AUDIT_HEADER = "X-Faults-Audit"
"""On our own questions, so that they are not counted as a producer's."""
POISON = frozenset({"poison", "rows_of_strings"})
"""Faults whose rows can never be applied."""
TIMEOUT = aiohttp.ClientTimeout(total=20)
PAGE = 250


@dataclass(frozen=True, slots=True)
class Provider:
    """A sandbox at `url` with `coingecko_listings` on its CoinGecko."""

    url: str
    coingecko_listings: int
    ordered: set[str] = field(default_factory=set)
    """The kinds of faults that were ever ordered."""

    @property
    def has_poisoned(self) -> bool:
        """Whether it was told to send rows that belong into the dead letters."""
        return not POISON.isdisjoint(self.ordered)

    async def order(self, *faults: Mapping[str, Any]) -> None:
        """Order faults for the next requests."""
        self.ordered.update(fault["kind"] for fault in faults)
        await self._ask("POST", "/__faults", list(faults))

    async def behave(self) -> None:
        """Call all faults off."""
        await self._ask("DELETE", "/__faults")

    async def faults_left(self) -> int:
        """How many requests are still to meet a fault."""
        return sum(each["left"] for each in json.loads(await self._ask("GET", "/__faults"))["faults"])

    async def advance(self, steps: int = 1) -> None:
        """Let the market move."""
        await self._ask("POST", "/__clock", {"advance": steps})

    async def requests(self) -> dict[str, int]:
        """How often the producers have asked each provider since the start."""
        told = json.loads(await self._ask("GET", "/__requests"))
        ours = AUDIT_HEADER.lower()
        asked = [each for each in told["requests"] if ours not in map(str.lower, each["header_names"])]
        assert told["total"] == len(told["requests"]), "the sandbox forgot requests: too many for one suite"
        return {source: sum(each["provider"] == source for each in asked) for source in ("coingecko", "coinpaprika")}

    async def newest(self) -> dict[Listing, UUID]:
        """What each listing says now, as the tick_id of the row that is served."""
        found: dict[Listing, UUID] = {}
        for page in range(1, -(-self.coingecko_listings // PAGE) + 1):
            query = (
                f"vs_currency=usd&order=market_cap_desc&per_page={PAGE}&page={page}"
                "&sparkline=false&price_change_percentage=1h,24h,7d"
            )
            found |= _contents("coingecko", await self._ask("GET", f"/api/v3/coins/markets?{query}"))
        return found | _contents("coinpaprika", await self._ask("GET", "/v1/tickers?quotes=USD"))

    async def _ask(self, method: str, path: str, order: Any = None) -> bytes:
        body = None if order is None else json.dumps(order).encode()
        headers = {AUDIT_HEADER: "1"}
        async with (
            aiohttp.ClientSession(timeout=TIMEOUT) as session,
            session.request(method, self.url + path, data=body, headers=headers) as answer,
        ):
            read = await answer.read()
            assert answer.ok, f"{method} {path}: {answer.status} {read[:300]!r}"
            return read


def _contents(source: str, body: bytes) -> dict[Listing, UUID]:
    found: dict[Listing, UUID] = {}
    for row in rows_in(body):
        identity = SOURCES[source].identify(row, datetime.now(UTC))
        assert not isinstance(identity, Rejection), f"a behaving sandbox served {identity}"
        found[Listing(source, identity.source_id)] = tick_id_of(source, identity.source_id, row)
    return found
