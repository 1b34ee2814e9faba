"""PollCommand: somebody wants a source polled. The value of etl.commands.<source>."""

from typing import Final
from uuid import UUID

from pydantic import AwareDatetime, BaseModel, ConfigDict, Field

from libs.contracts.texts import Name
from libs.domain.runs import Trigger

WHOLE_SOURCE: Final = "*"
"""The shard of a command that asks for a run; the producer that takes it divides it into one command a shard."""
LONGEST_SHARD: Final = 512
"""Characters: with the run it is an index entry of Postgres, which refuses one of over 2.7 KB."""
LONGEST_SOURCE: Final = 64


class PollCommand(BaseModel):
    """Poll one shard of a source for a run, or (shard `*`) plan the run: whoever asks need not know the shards."""

    model_config = ConfigDict(frozen=True, extra="ignore")

    run_id: UUID
    source: Name = Field(max_length=LONGEST_SOURCE)
    shard: Name = Field(
        WHOLE_SOURCE, description="A page, a file, or `*` for the whole source", min_length=1, max_length=LONGEST_SHARD
    )
    trigger: Trigger
    requested_at: AwareDatetime
    expires_at: AwareDatetime = Field(description="Past this the command is stale: the run is skipped and says so")
