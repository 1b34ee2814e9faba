"""What `kasparro watch` does once it knows what is wanted: one picture, lines, or a picture that changes."""

import asyncio
import signal
import sys
from contextlib import aclosing
from dataclasses import replace
from typing import Final, NamedTuple

import msgspec
from rich.console import Console
from rich.live import Live

from libs.process.clock import SystemClock
from services.cli.errors import CommandError
from services.cli.http_api import Api, open_api
from services.cli.screen import Screen
from services.cli.watch.assets import MOST_ROWS, Attribution, Wish
from services.cli.watch.board import Board
from services.cli.watch.columns import Now
from services.cli.watch.drawing import Picture
from services.cli.watch.feed import Feed
from services.cli.watch.lines import json_line, plain_line
from services.cli.watch.once import show_once
from services.cli.watch.pipes import PatientWriter
from services.cli.watch.updates import AssetChanged, AssetRemoved, Conflated, Link, LinkChanged, Reset

REDRAW_SECONDS: Final = 0.25
"""Between two pictures at least, however much changes."""
AGES_SECONDS: Final = 1.0
"""Between two at most: ages grow though nothing changes."""


class Manner(NamedTuple):
    """How it is shown."""

    as_json: bool
    once: bool
    can_redraw: bool


class _Health(msgspec.Struct, frozen=True):
    sandbox: bool


class _Attributed(msgspec.Struct, frozen=True):
    attribution: list[Attribution]


async def watch_api(base: str, wish: Wish, manner: Manner, screen: Screen) -> None:
    """Show what is wanted. Raises ApiAwayError when the API does not answer at first; later it is waited for."""
    async with open_api(base) as api:
        sandbox = (await api.read("/health", _Health)).sandbox
        if manner.once:
            await show_once(api, wish, screen, sandbox=sandbox, as_json=manner.as_json)
        elif manner.can_redraw and not manner.as_json:
            await _OnTerminal(api, wish, sandbox=sandbox).watch()
        else:
            await _as_lines(api, wish, screen, as_json=manner.as_json, sandbox=sandbox)


async def _as_lines(api: Api, wish: Wish, screen: Screen, *, as_json: bool, sandbox: bool) -> None:
    writer, spelt = PatientWriter(sys.stdout.fileno()), json_line if as_json else plain_line

    async def follow() -> None:
        made_up = sandbox
        async with aclosing(Feed(api, wish, SystemClock()).updates()) as updates:
            async for update in updates:
                if isinstance(update, LinkChanged):
                    made_up = made_up if update.sandbox is None else update.sandbox
                    screen.tell(update.sentence)
                elif line := spelt(update, sandbox=made_up):
                    await writer.write(line)

    async with asyncio.TaskGroup() as tasks:
        tasks.create_task(writer.until_reader_gone())
        tasks.create_task(follow())


class _OnTerminal:
    """A picture that is drawn again when something in it has changed."""

    def __init__(self, api: Api, wish: Wish, *, sandbox: bool) -> None:
        self._api, self._clock, self._console = api, SystemClock(), Console(highlight=False)
        # Ranks have holes, where two coins share a symbol: more are followed than are shown.
        self._feed = Feed(api, replace(wish, top=min(MOST_ROWS, 2 * wish.top)), self._clock)
        self._picture = Picture(Board(wish.uids), api.base, len(wish.uids) or wish.top, sandbox)
        self._changed = asyncio.Event()

    async def watch(self) -> None:
        """Draw for ever, on a screen of its own that goes when this ends."""
        asyncio.get_running_loop().add_signal_handler(signal.SIGWINCH, self._changed.set)
        with Live(console=self._console, screen=True, auto_refresh=False) as live:
            async with asyncio.TaskGroup() as tasks:
                tasks.create_task(self._draw(live))
                tasks.create_task(self._follow())

    async def _follow(self) -> None:
        board = self._picture.board
        async with aclosing(self._feed.updates()) as updates:
            async for update in updates:
                match update:
                    case AssetChanged(asset=asset):
                        board.take(asset, self._clock.monotonic())
                    case AssetRemoved(asset_uid=uid):
                        board.remove(uid)
                    case Conflated(skipped=skipped):
                        board.skipped += skipped
                    case Reset():
                        board.forget()
                    case LinkChanged():
                        await self._take_link(update)
                self._changed.set()

    async def _take_link(self, link: LinkChanged) -> None:
        picture = self._picture
        picture.link = link
        if link.sandbox is not None:
            picture.sandbox = link.sandbox
        if link.link is not Link.LOST and not picture.attribution:
            try:
                picture.attribution = (await self._api.read("/data", _Attributed, (("limit", "1"),))).attribution
            except CommandError:
                return  # Postgres is away; when the link changes again it may be back

    async def _draw(self, live: Live) -> None:
        while True:
            now = Now(self._api.clock.utc(), self._clock.monotonic())
            width, height = self._console.size
            live.update(self._picture.drawn(width, height, now), refresh=True)
            await self._clock.sleep(REDRAW_SECONDS)
            if not self._picture.board.flashes(self._clock.monotonic()):
                await self._until_changed()

    async def _until_changed(self) -> None:
        try:
            async with asyncio.timeout(AGES_SECONDS - REDRAW_SECONDS):
                await self._changed.wait()
        except TimeoutError:
            return
        finally:
            self._changed.clear()
