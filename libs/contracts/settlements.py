"""Settlements: which dead letters are dealt with, and how. The value of etl.settlements; the key is the partition's number.

Written in the transaction that re-drives, so a dead letter is re-driven once or not at all. The newest of a key counts.
"""

from datetime import UTC, datetime
from itertools import pairwise
from typing import Self

from pydantic import AwareDatetime, BaseModel, ConfigDict, Field, field_validator, model_validator

OffsetRange = tuple[int, int]
"""From an offset up to, but without, another."""


class Settlement(BaseModel):
    """What became of the dead letters of one partition. Ranges ascend and do not touch; whatever is in none still waits."""

    model_config = ConfigDict(frozen=True, extra="ignore")

    partition: int = Field(ge=0, description="Of ticks.dead-letter")
    settled_at: AwareDatetime = Field(description="When the last of them was settled")
    redriven: tuple[OffsetRange, ...] = Field((), description="Published again to the topic they came from")
    dropped: tuple[OffsetRange, ...] = Field((), description="Given up by an operator")

    @field_validator("settled_at")
    @classmethod
    def _is_a_time_in_utc(cls, settled_at: datetime) -> datetime:
        """The first and the last hours of datetime's years have none, and Postgres takes no such time."""
        try:
            return settled_at.astimezone(UTC)
        except OverflowError as error:
            raise ValueError("the time is beyond those that UTC has") from error

    @model_validator(mode="after")
    def _ranges_are_sound(self) -> Self:
        """A reader may rely on what the ranges are said to be; a partition and an offset fit Kafka's own types."""
        for ranges in (self.redriven, self.dropped):
            bounds = [bound for each in ranges for bound in each]
            if bounds and (bounds[0] < 0 or bounds[-1] >= 2**63 or any(low >= high for low, high in pairwise(bounds))):
                raise ValueError("ranges of offsets must ascend and not touch")
        if self.partition >= 2**31:
            raise ValueError("no partition has such a number")
        return self
