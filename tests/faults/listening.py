"""Clients of the stream all through a fault: cut off, they come again where they were, and at rest hold what the topic holds."""

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass, field

import aiohttp

from libs.contracts.asset import Asset
from tests.faults.pipeline import NotQuietError, Pipeline
from tests.stream_follower import Follower

REACH_SECONDS = 90.0
"""A query service that has just been started reads the topic first, on a full machine."""
SHOWN = 8
FEW = ("btc", "eth", "usdt", "bnb", "sol", "xrp")


@dataclass(slots=True)
class Listener:
    """One client: what it asks for, and which assets it must hold in the end."""

    query: str
    fits: Callable[[Asset], bool]
    follower: Follower = field(default_factory=Follower)
    breaks_off: asyncio.Event = field(default_factory=asyncio.Event)


def listeners() -> list[Listener]:
    """One that wants everything, and one for each filter."""
    return [
        Listener("snapshot=true", lambda _: True),
        Listener("snapshot=true&top=50", lambda asset: asset.market_cap_rank is not None and asset.market_cap_rank <= 50),
        Listener("snapshot=true&source=coinpaprika", lambda asset: asset.taken.source == "coinpaprika"),
        Listener(f"snapshot=true&uid={','.join(FEW)}", lambda asset: asset.asset_uid in FEW),
    ]


@dataclass(slots=True)
class Listening:
    """The clients, and how to judge them."""

    pipeline: Pipeline
    all: list[Listener]

    def break_off(self) -> None:
        """Let each client close its connection in the midst of what it is sent."""
        for one in self.all:
            one.breaks_off.set()

    async def until_all_hold_the_newest(self) -> None:
        """Wait, at rest, until each client holds what it wants in the versions that the topic ends with, and nothing else."""
        expected = [self._expected(one) for one in self.all]

        async def all_hold() -> bool:
            return all(one.follower.held == held for one, held in zip(self.all, expected, strict=True))

        try:
            await self.pipeline.until(all_hold, REACH_SECONDS, "the clients of the stream to hold what the topic holds")
        except NotQuietError as error:
            wrong = [_difference(one, held) for one, held in zip(self.all, expected, strict=True) if one.follower.held != held]
            raise NotQuietError("\n".join([*wrong, str(error)])) from error
        heard = sum(len(one.follower.told) for one in self.all)
        cut = sum(one.follower.connections for one in self.all)
        self.pipeline.report.step(
            f"{len(self.all)} clients of the stream hold the newest of all: {heard} events, cut off {cut} times"
        )

    def _expected(self, listener: Listener) -> dict[str, int]:
        values = (value for value in self.pipeline.ledger.assets.values() if value is not None)
        return {asset.asset_uid: asset.version for asset in map(Asset.decode, values) if listener.fits(asset)}


def _difference(listener: Listener, expected: dict[str, int]) -> str:
    held = listener.follower.held
    differing = [uid for uid in sorted(held.keys() | expected.keys()) if held.get(uid) != expected.get(uid)]
    shown = [f"{uid}: holds {held.get(uid)}, the topic ends with {expected.get(uid)}" for uid in differing[:SHOWN]]
    return f"NOT every_client_holds_the_newest: ?{listener.query}, {len(differing)} assets\n    " + "\n    ".join(shown)


@asynccontextmanager
async def listening(pipeline: Pipeline) -> AsyncIterator[Listening]:
    """Listen during the block. A client that is told something older than it was told before fails it."""
    heard = Listening(pipeline, listeners())
    async with aiohttp.ClientSession() as session:
        tasks = [
            asyncio.create_task(one.follower.follow(session, f"{pipeline.api_url}/data/stream?{one.query}", one.breaks_off))
            for one in heard.all
        ]
        try:
            yield heard
            for task in tasks:
                if task.done():
                    task.result()
        finally:
            for task in tasks:
                task.cancel()
                with suppress(asyncio.CancelledError):
                    await task
