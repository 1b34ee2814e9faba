"""Every question of `kasparro status`, asked at once: what one answer needs may be away while the others are there."""

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from http import HTTPStatus
from typing import Final, TypeVar

import msgspec

from libs.process.clock import Clock
from services.cli.errors import CommandError
from services.cli.http_api import Api, Parameters, error_of
from services.cli.status.answers import (
    LARGEST_PAGE,
    Checkpoints,
    DeadLetters,
    Found,
    Gaps,
    Health,
    Incidents,
    Runs,
    Sources,
)

SAME_CLOCK: Final = timedelta(seconds=15)
"""What a Date's whole seconds and the answers' own time explain; beyond that one of the clocks is wrong."""
NEWEST: Final = (("limit", str(LARGEST_PAGE)),)

Shape = TypeVar("Shape")


@dataclass(frozen=True, slots=True)
class Questions:
    """What is asked, and what came back."""

    api: Api
    bodies: dict[str, msgspec.Raw] = field(default_factory=dict)
    unavailable: dict[str, str] = field(default_factory=dict)
    dates: list[datetime] = field(default_factory=list)
    """When the API said that it was, at each answer."""

    async def ask(self, name: str, path: str, shape: type[Shape], parameters: Parameters = ()) -> Shape | None:
        """Return the answer, or None and note why there is none."""
        try:
            return await self.need(name, path, shape, parameters)
        except CommandError as error:
            self.unavailable[name] = str(error)
            return None

    async def need(self, name: str, path: str, shape: type[Shape], parameters: Parameters = ()) -> Shape:
        """Return the answer. Raises a CommandError when there is none."""
        answer = await self.api.get(path, parameters)
        if answer.status != HTTPStatus.OK:
            raise error_of(answer.status, self.api.problem(answer.content))
        decoded = self.api.decoded(answer.content, shape)
        self.bodies[name] = msgspec.Raw(answer.content)
        if answer.date is not None:
            self.dates.append(answer.date)
        return decoded


async def look(api: Api, clock: Clock) -> Found:
    """Return what there is to see. Raises ApiAwayError when not even the health can be had."""
    questions = Questions(api)
    health = await questions.need("health", "/health", Health)
    async with asyncio.TaskGroup() as asked:
        sources = asked.create_task(questions.ask("sources", "/stats/sources", Sources))
        checkpoints = asked.create_task(questions.ask("checkpoints", "/stats/checkpoints", Checkpoints))
        runs = asked.create_task(questions.ask("runs", "/stats", Runs, NEWEST))
        dead_letters = asked.create_task(questions.ask("dead_letters", "/stats/dead-letters", DeadLetters))
        gaps = asked.create_task(questions.ask("gaps", "/stats/gaps", Gaps, NEWEST))
        incidents = asked.create_task(questions.ask("incidents", "/stats/incidents", Incidents))
    return Found(
        health=health,
        sources=sources.result(),
        checkpoints=checkpoints.result(),
        runs=runs.result(),
        dead_letters=dead_letters.result(),
        gaps=gaps.result(),
        incidents=incidents.result(),
        bodies=questions.bodies,
        unavailable=questions.unavailable,
        at=_moment(clock.utc(), questions.dates),
    )


def _moment(here: datetime, there: Sequence[datetime]) -> datetime:
    """Return what time it is by the API's clock: by another a run would be due that is not, or be missed in silence."""
    latest = max(there, default=here)
    return here if abs(here - latest) <= SAME_CLOCK else latest
