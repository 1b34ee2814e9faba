"""Incidents: what an operator must know of, from when it began until it was over. The value of etl.incidents; the key is `key`.

The newest of a key is that key's incident: open while `closed_at` is null. The topic is compacted and has no tombstones,
so reading it from the beginning gives what is open and how each of the others ended.
"""

from typing import Literal

from pydantic import AwareDatetime, BaseModel, ConfigDict, Field

from libs.contracts.texts import Name, Words

LONGEST_KEY = 200
LONGEST_WORDS = 1_000
"""Characters, where they are made: they may quote what a provider sent."""

Told = Literal["opened", "over"]


class Incident(BaseModel):
    """Something that is wrong, or was."""

    model_config = ConfigDict(frozen=True, extra="ignore")

    key: Name = Field(max_length=LONGEST_KEY, description="kind/subject: one thing that can be wrong, however often it is")
    kind: Name = Field(
        max_length=64,
        description="source-failing, dead-letters-rising, consumer-stalled or dependency-away; readers bear with others",
    )
    subject: Name = Field(max_length=100, description="The source, the consumer group, or the dependency")
    opened_at: AwareDatetime = Field(description="When it was first seen; with the key it names this incident among later ones")
    closed_at: AwareDatetime | None = Field(None, description="When it was first seen to be over; null: it is open")
    words: Words = Field(description="What is wrong, as it was when the incident was opened")
    advice: Words = Field(description="What to do first")
    runbook: Words = Field(description="Where more is said: a page and its section")
    again: bool = Field(
        False, description="Whether it came back soon after it was over, and so is over only after a longer quiet"
    )
    told: Told | None = Field(
        None, description="What the operators' channel was last told of this incident; null: nothing, or there is no channel"
    )
