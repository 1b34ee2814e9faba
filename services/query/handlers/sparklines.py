"""GET /data/sparklines: how the prices of a page of assets went, in one answer."""

from datetime import timedelta
from typing import Annotated, ClassVar, Final, Literal

from aiohttp import web
from pydantic import BeforeValidator, Field

from libs.domain.candles import Interval, Span, bucket_at
from libs.postgres.reading.acquiring import reading
from libs.postgres.reading.sparklines import load_closes
from services.query.endpoints import Parameters
from services.query.keys import CLOCK, READERS
from services.query.parameters import Symbol
from services.query.rendering import Answer
from services.query.views.sparklines import sparklines_body

MOST_ASSETS: Final = 100
SPANS: Final = {
    Interval.MINUTE: timedelta(hours=2),
    Interval.FIVE_MINUTES: timedelta(hours=12),
    Interval.HOUR: timedelta(days=7),
}
"""What is the width of a word on a screen: 120 to 168 closes."""


def _symbols(given: object) -> object:
    if not isinstance(given, list) or not all(isinstance(one, str) for one in given):
        return given
    return [one for text in given for one in text.split(",") if one.strip()]


class SparklinesAsked(Parameters):
    """The closes of some assets."""

    repeatable: ClassVar = frozenset({"uid"})

    uid: Annotated[
        list[Symbol],
        BeforeValidator(_symbols),
        Field(description="Symbols joined by commas, or given several times; blank ones are left out", max_length=MOST_ASSETS),
    ]
    interval: Literal["1m", "5m", "1h"] = Field("1h", description="1m: of the last 2 hours; 5m: of 12 hours; 1h: of 7 days")


async def get_sparklines(request: web.Request, asked: SparklinesAsked) -> Answer:
    """Return the closes up to now."""
    interval = Interval(asked.interval)
    end = bucket_at(request.app[CLOCK].utc(), interval.width) + interval.width
    span = Span(end - SPANS[interval], end)
    asset_uids = list(dict.fromkeys(asked.uid))
    async with reading(request.app[READERS]) as connection:
        closes = await load_closes(connection, asset_uids, interval, span)
    return Answer(sparklines_body(asset_uids, interval, span, closes))
