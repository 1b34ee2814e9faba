"""Making the tick that a producer would publish of a row."""

from datetime import UTC, datetime
from typing import Any
from uuid import UUID

import msgspec

from libs.contracts.raw_tick import RawTickFrame, decode_raw_tick, encode_raw_tick
from libs.domain.identity import tick_id_of
from libs.domain.quotes import Quote
from libs.domain.rejections import Reason, Rejection
from libs.sources.source import Source

FETCHED_AT = datetime(2026, 3, 1, 12, tzinfo=UTC)
RUN_ID = UUID(int=7)


def tick_of(source: Source, payload: bytes) -> RawTickFrame:
    """Return the tick of a row that can be identified, over the wire and back."""
    identity = source.identify(payload, FETCHED_AT)
    assert not isinstance(identity, Rejection), identity
    frame = RawTickFrame(
        tick_id=tick_id_of(source.name, identity.source_id, payload),
        source=source.name,
        source_id=identity.source_id,
        asset_uid=identity.asset_uid,
        run_id=RUN_ID,
        fetched_at=FETCHED_AT,
        source_updated_at=identity.source_updated_at,
        payload=msgspec.Raw(payload),
    )
    return decode_raw_tick(encode_raw_tick(frame))


def quote_of_row(source: Source, row: dict[str, Any] | bytes) -> Quote | Rejection:
    """Return what a row ends as: a quote, or the reason why identify or quote_of refused it."""
    payload = row if isinstance(row, bytes) else msgspec.json.encode(row)
    identity = source.identify(payload, FETCHED_AT)
    return identity if isinstance(identity, Rejection) else source.quote_of(tick_of(source, payload))


def reason_of(outcome: object) -> Reason:
    """Return why something was refused."""
    assert isinstance(outcome, Rejection), outcome
    return outcome.reason
