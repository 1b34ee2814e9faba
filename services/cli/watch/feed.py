"""The assets as they change, for as long as somebody watches: by the stream, by polling where there is none, and on again.

An API that is away is waited for: what changed meanwhile comes when it is back, because the stream goes on where it ended.
"""

import random
from collections.abc import AsyncGenerator, Iterator, Sequence
from contextlib import aclosing
from dataclasses import dataclass, field
from http import HTTPStatus
from typing import Final

from libs.process.clock import Clock
from services.cli.errors import CommandError, UseError
from services.cli.http_api import Api
from services.cli.watch.assets import Wish
from services.cli.watch.polling import Polls, Seen
from services.cli.watch.streaming import BROKEN, Stream, StreamRefusedError
from services.cli.watch.updates import AssetChanged, AssetRemoved, Link, LinkChanged, Reset, Update

POLL_SECONDS: Final = 5.0
STREAM_AGAIN_SECONDS: Final = 30.0
"""How long is polled before the stream is asked for again, unless the API says when."""
FIRST_WAIT_SECONDS: Final = 1.0
LONGEST_WAIT_SECONDS: Final = 15.0


@dataclass(slots=True)
class Feed:
    """Follows the API for ever."""

    api: Api
    wish: Wish
    clock: Clock
    _told: dict[str, int] = field(default_factory=dict)
    """The version of each asset that was told: what comes by another way as well is told once."""
    _link: LinkChanged | None = None
    _wait: float = FIRST_WAIT_SECONDS

    async def updates(self) -> AsyncGenerator[Update, None]:
        """Yield what is new. Raises UseError when the API refuses what was asked for."""
        async with aclosing(self._followed()) as followed:
            async for update in followed:
                if self._is_news(update):
                    yield update

    def _is_news(self, update: Update) -> bool:
        match update:
            case LinkChanged():
                before, self._link = self._link, update
                return update != before
            case AssetChanged(asset=asset):
                if asset.version <= self._told.get(asset.asset_uid, 0):
                    return False
                self._told[asset.asset_uid] = asset.version
            case AssetRemoved(asset_uid=uid):
                self._told.pop(uid, None)
            case Reset():
                self._told.clear()
        return True

    async def _followed(self) -> AsyncGenerator[Update, None]:
        stream, polls = Stream(self.api, self.wish), Polls(self.api, self.wish)
        while True:
            heard, why, again = False, "the API has ended the stream", STREAM_AGAIN_SECONDS
            try:
                async with aclosing(stream.updates()) as streamed:
                    async for update in streamed:
                        heard, self._wait = True, FIRST_WAIT_SECONDS
                        yield update
            except StreamRefusedError as refused:
                if refused.status == HTTPStatus.BAD_REQUEST and stream.position:  # for the position: another API's, perhaps
                    stream.position = ""
                    continue
                why, again = f"the stream is refused: {refused}", refused.retry_seconds or again
            except BROKEN as error:
                why = str(error) or type(error).__name__
            if not heard:  # refused, or held up on its way: what can be asked for may come all the same
                async with aclosing(self._polled(polls, why, again)) as polled:
                    async for update in polled:
                        heard = True
                        yield update
                if heard:
                    continue
            wait = self._next_wait(stream.retry_seconds)
            yield LinkChanged(Link.LOST, f"cut off, asking again in {wait:.0f} s", why)
            await self.clock.sleep(wait)

    async def _polled(self, polls: Polls, why: str, seconds: float) -> AsyncGenerator[Update, None]:
        """Poll for so long, or until there is no answer. What the API refuses here was asked for wrongly."""
        until = self.clock.monotonic() + max(POLL_SECONDS, seconds)
        while self.clock.monotonic() < until:
            try:
                seen = await polls.look()
            except UseError:
                raise
            except CommandError:
                return
            yield LinkChanged(Link.POLLING, f"polling every {POLL_SECONDS:g} s", why)
            for update in self._news(seen):
                yield update
            await self.clock.sleep(POLL_SECONDS)

    def _news(self, seen: Sequence[Seen]) -> Iterator[Update]:
        """All that was seen, and what was not and had been told."""
        there = {each.asset.asset_uid for each in seen}
        yield from (AssetChanged(each.asset, each.content, None) for each in seen)
        yield from [AssetRemoved(uid, None) for uid in self._told if uid not in there]

    def _next_wait(self, asked_for: float | None) -> float:
        """Longer each time until something comes, and never the same for all who were cut at once."""
        wait = max(self._wait, asked_for or 0.0)
        self._wait = min(2 * self._wait, LONGEST_WAIT_SECONDS)
        return wait * random.uniform(0.8, 1.2)  # noqa: S311 - it spreads, it does not hide
