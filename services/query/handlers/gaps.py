"""GET /stats/gaps: what is known to be missing."""

from typing import Literal

from aiohttp import web

from libs.postgres.reading.acquiring import reading
from libs.postgres.reading.gaps import GapsWanted, load_gaps
from services.query.cursors import decode_cursor, encode_cursor, page_of, read_moment
from services.query.endpoints import Parameters
from services.query.keys import READERS
from services.query.parameters import CursorText, Limit, Since, SourceFilter
from services.query.rendering import Answer
from services.query.views.gaps import gap_body


class GapsAsked(Parameters):
    """A page of gaps."""

    limit: Limit = 50
    source: SourceFilter | None = None
    kind: Literal["runs_missed", "offsets_lost", "shard_failed"] | None = None
    since: Since | None = None
    cursor: CursorText | None = None


async def list_gaps(request: web.Request, asked: GapsAsked) -> Answer:
    """Return gaps and failed shards, newest first."""
    filters = f"gaps:{asked.source or ''}:{asked.kind or ''}:{asked.since.isoformat() if asked.since else ''}"
    after = None if asked.cursor is None else decode_cursor(asked.cursor, filters, read_moment)
    wanted = GapsWanted(asked.limit + 1, asked.source, asked.kind, asked.since, after)
    async with reading(request.app[READERS]) as connection:
        found = await load_gaps(connection, wanted)
    rows, end = page_of(found, asked.limit)
    body = {
        "gaps": [gap_body(row) for row in rows],
        "limit": asked.limit,
        "next_cursor": None if end is None else encode_cursor(filters, end["found_at"], end["key"]),
    }
    return Answer(body)
