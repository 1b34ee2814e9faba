"""GET /data for those who watch, where there is no stream: an answer that has not changed costs next to nothing."""

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass, field
from http import HTTPStatus
from typing import Final

import msgspec

from services.cli.errors import CommandError
from services.cli.http_api import Api, Parameters, error_of
from services.cli.watch.assets import Attribution, WatchedAsset, Wish

AT_ONCE: Final = 8
"""Requests, where assets are named: each is asked for by itself."""


class _Page(msgspec.Struct, frozen=True):
    data: list[msgspec.Raw]
    attribution: list[Attribution]


class Seen(msgspec.Struct, frozen=True):
    """An asset, and its JSON as it came."""

    asset: WatchedAsset
    content: bytes


@dataclass(slots=True)
class Polls:
    """Looks again and again at the same assets."""

    api: Api
    wish: Wish
    attribution: Sequence[Attribution] = ()
    """What the providers ask to be shown, as of the last look."""
    _answers: dict[Parameters, tuple[str | None, list[Seen]]] = field(default_factory=dict)

    async def look(self) -> list[Seen]:
        """Return the assets that were asked for and are there. Raises a CommandError when that cannot be had."""
        gate = asyncio.Semaphore(AT_ONCE)
        async with asyncio.TaskGroup() as asked:
            tasks = [asked.create_task(self._ask(question, gate)) for question in self._questions()]
        seen: list[Seen] = []
        for task in tasks:
            if isinstance(page := task.result(), CommandError):
                raise page
            seen += page
        return seen

    def _questions(self) -> list[Parameters]:
        source = () if self.wish.source is None else (("source", self.wish.source),)
        if not self.wish.uids:
            return [(("limit", str(self.wish.top)), ("sort", "rank"), *source)]
        return [(("symbol", uid), *source) for uid in self.wish.uids]

    async def _ask(self, question: Parameters, gate: asyncio.Semaphore) -> list[Seen] | CommandError:
        """One that fails is a value: the others are not cut off by it."""
        try:
            async with gate:
                return await self._page(question)
        except CommandError as error:
            return error

    async def _page(self, question: Parameters) -> list[Seen]:
        tag, held = self._answers.get(question, (None, []))
        answer = await self.api.get("/data", question, tag=tag)
        if answer.status == HTTPStatus.NOT_MODIFIED:
            return held
        if answer.status != HTTPStatus.OK:
            raise error_of(answer.status, self.api.problem(answer.content))
        page = self.api.decoded(answer.content, _Page)
        self.attribution = page.attribution
        assets = [Seen(self.api.decoded(bytes(each), WatchedAsset), bytes(each)) for each in page.data]
        self._answers[question] = (answer.tag, assets)
        return assets
