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


class _Written(msgspec.Struct, frozen=True):
    """A RawTickFrame, field by field, with what ticks have in common as the bytes that it is written as."""

    tick_id: str
    source: msgspec.Raw
    source_id: str
    asset_uid: str
    run_id: msgspec.Raw
    fetched_at: msgspec.Raw
    source_updated_at: datetime
    payload: msgspec.Raw


class RawTickEncoder:
    """Writes the ticks of one answer, byte for byte as `encode_raw_tick` does, in half of the time."""

    def __init__(self, source: str, run_id: UUID, fetched_at: datetime) -> None:
        self._source, self._run_id, self._fetched_at = (
            msgspec.Raw(_encoder.encode(common)) for common in (source, run_id, fetched_at)
        )

    def encode(self, tick_id: bytes, source_id: str, asset_uid: str, source_updated_at: datetime, payload: bytes) -> bytes:
        """Return the message's bytes; `tick_id` is the 16 bytes of it."""
        id_ = tick_id.hex()
        return _encoder.encode(
            _Written(
                f"{id_[:8]}-{id_[8:12]}-{id_[12:16]}-{id_[16:20]}-{id_[20:]}",
                self._source,
                source_id,
                asset_uid,
                self._run_id,
                self._fetched_at,
                source_updated_at,
                msgspec.Raw(payload),
            )
        )


def decode_raw_tick(value: bytes) -> RawTickFrame:
    """Read a message. Raises msgspec.DecodeError (ValidationError is one) when it is not a RawTick."""
    try:
        return _decoder.decode(value)
    except (UnicodeDecodeError, RecursionError) as error:
        raise msgspec.DecodeError(f"broken UTF-8 or too deep: {error}") from error
