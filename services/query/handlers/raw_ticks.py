"""GET /data/raw: what the providers sent."""

from aiohttp import web

from libs.postgres.reading.acquiring import reading
from libs.postgres.reading.raw_ticks import load_raw_tick, load_raw_ticks
from services.query.cursors import decode_record_cursor, encode_record_cursor, page_of
from services.query.endpoints import Parameters
from services.query.keys import READERS
from services.query.parameters import LARGEST_RECORD_ID, CursorText, Limit, Offset, RecordId, SourceInPath, known_source
from services.query.problems import InvalidParameterError, RecordNotFoundError
from services.query.rendering import ATTRIBUTION, Answer
from services.query.views.assets import raw_tick_body


class RawTicksAsked(Parameters):
    """A page of raw rows."""

    source: SourceInPath
    limit: Limit = 50
    offset: Offset = 0
    cursor: CursorText | None = None


class RawTickAsked(Parameters):
    """One raw row."""

    source: SourceInPath
    record_id: RecordId


async def list_raw_ticks(request: web.Request, asked: RawTicksAsked) -> Answer:
    """Return the newest raw rows first."""
    source = known_source(asked.source)
    if asked.cursor is not None and asked.offset:
        raise InvalidParameterError("offset: cannot be combined with cursor", parameter="offset")
    before = LARGEST_RECORD_ID if asked.cursor is None else decode_record_cursor(asked.cursor, source)
    async with reading(request.app[READERS]) as connection:
        found = await load_raw_ticks(connection, source, before=before, limit=asked.limit + 1, offset=asked.offset)
    rows, end = page_of(found, asked.limit)
    body = {
        "source": source,
        "data": [raw_tick_body(row) for row in rows],
        "limit": asked.limit,
        "offset": asked.offset,
        "next_cursor": None if end is None else encode_record_cursor(source, end["record_id"]),
        "attribution": ATTRIBUTION,
    }
    return Answer(body)


async def get_raw_tick(request: web.Request, asked: RawTickAsked) -> Answer:
    """Return one raw row."""
    source = known_source(asked.source)
    async with reading(request.app[READERS]) as connection:
        row = await load_raw_tick(connection, source, asked.record_id)
    if row is None:
        raise RecordNotFoundError(f"{source} has no raw row {asked.record_id}; retention may have removed it")
    return Answer({"source": source, **raw_tick_body(row), "attribution": ATTRIBUTION})
