"""Gaps: what is known to be missing, so that nobody takes silence for completeness. The value of etl.gaps; the key is the source.

Shards that failed are not told again here: etl.runs has them.
"""

from typing import Annotated, Literal
from uuid import UUID, uuid5

from pydantic import AwareDatetime, BaseModel, ConfigDict, Field, TypeAdapter

from libs.contracts.commands import LONGEST_SOURCE

_NAMESPACE = UUID("6b6f2c0e-6a4c-5b0e-9c55-9f5a2f3d7c11")


class _Gap(BaseModel):
    model_config = ConfigDict(frozen=True, extra="ignore")

    gap_id: UUID = Field(description="A hash of what is missing: a gap that is told twice, or by two, is one")
    source: str = Field(max_length=LONGEST_SOURCE)
    found_at: AwareDatetime


class RunsMissed(_Gap):
    """Scheduled runs that nobody was there to make."""

    kind: Literal["runs_missed"] = "runs_missed"
    first_due: AwareDatetime
    last_due: AwareDatetime
    runs: int = Field(ge=1)
    interval_seconds: float = Field(gt=0, allow_inf_nan=False)


class OffsetsLost(_Gap):
    """Offsets that retention, or a topic made anew, removed before a group had read them."""

    kind: Literal["offsets_lost"] = "offsets_lost"
    group: str
    topic: str
    partition: int = Field(ge=0)
    from_offset: int = Field(ge=0, description="The offset that the group wanted")
    to_offset: int = Field(
        ge=0,
        description="Where it went on: the oldest record that is kept. The difference bounds the records lost, since "
        "markers of transactions take offsets too; lower than from_offset when the topic was made anew",
    )


Gap = Annotated[RunsMissed | OffsetsLost, Field(discriminator="kind")]
GAP: TypeAdapter[Gap] = TypeAdapter(Gap)
"""Reads and writes a gap: GAP.validate_json(value)."""


def gap_id_of(kind: str, *what: object) -> UUID:
    """Return the id of a gap from what is missing; the moment it was found is no part of that."""
    return uuid5(_NAMESPACE, "\0".join(map(str, (kind, *what))))
