"""RawTick: one row of one provider's answer, every digit as sent. The value of the ticks.raw.* topics.

`RawTick` is the public contract. `RawTickFrame` is the same message for the hot path: it leaves the payload as the bytes
that the provider sent, so no number passes through a binary float. A test holds the two together on every recorded row.
"""

import json
from datetime import datetime
from decimal import Decimal
from typing import Annotated, Any, Self
from uuid import UUID

import msgspec
from pydantic import AwareDatetime, BaseModel, ConfigDict, Field


class RawTick(BaseModel):
    """One row of one provider's answer, every digit as sent."""

    model_config = ConfigDict(frozen=True, extra="ignore")

    tick_id: UUID = Field(description="128-bit hash of (source, source_id, payload bytes): the same content has the same id")
    source: str = Field(description="The provider", examples=["coingecko"])
    source_id: str = Field(description="The provider's own id; with `source`, the listing", min_length=1)
    asset_uid: str = Field(description="The symbol, trimmed and lower-cased; symbols collide", min_length=1, max_length=64)
    run_id: UUID = Field(description="The run that published it")
    fetched_at: AwareDatetime = Field(description="Ingestion time: when the answer arrived")
    source_updated_at: AwareDatetime = Field(description="Event time: when the provider says it was true")
    payload: dict[str, Any] = Field(description="The provider's own row, untouched; read its numbers as decimals")

    @classmethod
    def decode(cls, value: bytes) -> Self:
        """Read a message with its digits kept: pydantic's own JSON reader would round them to binary floats."""
        return cls.model_validate(json.loads(value, parse_float=Decimal))


class RawTickFrame(msgspec.Struct, frozen=True):
    """A RawTick whose payload is still the provider's bytes."""

    tick_id: UUID
    source: str
    source_id: Annotated[str, msgspec.Meta(min_length=1)]
    asset_uid: Annotated[str, msgspec.Meta(min_length=1, max_length=64)]
    run_id: UUID
    fetched_at: Annotated[datetime, msgspec.Meta(tz=True)]
    source_updated_at: Annotated[datetime, msgspec.Meta(tz=True)]
    payload: msgspec.Raw


_encoder = msgspec.json.Encoder()
_decoder = msgspec.json.Decoder(RawTickFrame)


def encode_raw_tick(frame: RawTickFrame) -> bytes:
    """Return the message's bytes; the payload goes in as it is."""
    return _encoder.encode(frame)


def decode_raw_tick(value: bytes) -> RawTickFrame:
    """Read a message. Raises msgspec.DecodeError (ValidationError is one) when it is not a RawTick."""
    try:
        return _decoder.decode(value)
    except (UnicodeDecodeError, RecursionError) as error:
        raise msgspec.DecodeError(f"broken UTF-8 or too deep: {error}") from error
