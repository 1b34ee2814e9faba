"""Every question of `kasparro status`, asked at once: what one answer needs may be away while the others are there."""

import asyncio
from dataclasses import dataclass, field
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

NEWEST: Final = (("limit", str(LARGEST_PAGE)),)

Shape = TypeVar("Shape")


@dataclass(frozen=True, slots=True)
class Questions:
    """What is asked, and what came back."""

    api: Api
    bodies: dict[str, msgspec.Raw] = field(default_factory=dict)
    unavailable: dict[str, str] = field(default_factory=dict)

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
        at=clock.utc(),
    )
