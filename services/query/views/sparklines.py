"""The closes of assets as the API shows them."""

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any

from pydantic import AwareDatetime, Field

from libs.domain.candles import Interval, Span
from services.query.rendering import ATTRIBUTION, number
from services.query.views.shapes import AttributionView, Number, View


class SparklineView(View):
    """How the price of one asset went."""

    asset_uid: str
    closes: list[Number | None] = Field(description="The last price in each interval, oldest first; null where there was no tick")


class SparklinesView(View):
    """How the prices of some assets went; an asset without a price in that time is left out."""

    interval: str
    from_: AwareDatetime = Field(alias="from", description="When the first interval begins")
    to: AwareDatetime
    data: list[SparklineView]
    attribution: list[AttributionView]


def sparklines_body(
    asset_uids: Sequence[str], interval: Interval, span: Span, closes: Mapping[str, Mapping[datetime, str]]
) -> dict[str, Any]:
    """Return a SparklinesView's content: as many closes as intervals, so that a gap is as wide as it was."""
    starts = [span.start + interval.width * place for place in range(round((span.end - span.start) / interval.width))]
    data = [
        {"asset_uid": uid, "closes": [number(found.get(start)) for start in starts]}
        for uid in asset_uids
        if (found := closes.get(uid))
    ]
    return {"interval": interval.value, "from": span.start, "to": span.end, "data": data, "attribution": ATTRIBUTION}
