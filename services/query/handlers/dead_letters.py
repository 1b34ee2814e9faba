"""GET /stats/dead-letters: how many wait, and why."""

from aiohttp import web
from pydantic import Field

from libs.postgres.reading.acquiring import reading
from libs.postgres.reading.dead_letters import LettersWanted, count_letters
from services.query.endpoints import Parameters
from services.query.keys import READERS
from services.query.parameters import ErrorClass, RunId, Since, SourceFilter
from services.query.rendering import Answer
from services.query.views.dead_letters import dead_letters_body


class LettersAsked(Parameters):
    """Which letters are counted."""

    source: SourceFilter | None = None
    error_class: ErrorClass | None = None
    run_id: RunId | None = Field(None, description="Only of this run")
    since: Since | None = None


async def count_dead_letters(request: web.Request, asked: LettersAsked) -> Answer:
    """Return the counts by source and error class."""
    wanted = LettersWanted(asked.source, asked.error_class, asked.run_id, asked.since)
    async with reading(request.app[READERS]) as connection:
        return Answer(dead_letters_body(await count_letters(connection, wanted)))
