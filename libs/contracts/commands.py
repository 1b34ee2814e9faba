"""PollCommand: somebody wants a source polled. The value of etl.commands.<source>."""

from typing import Final
from uuid import UUID

from pydantic import AwareDatetime, BaseModel, ConfigDict, Field

from libs.domain.runs import Trigger

WHOLE_SOURCE: Final = "*"
"""The shard of a command that asks for a run; the producer that takes it divides it into one command a shard."""


class PollCommand(BaseModel):
    """Poll one shard of a source for a run, or (shard `*`) plan the run: whoever asks need not know the shards."""

    model_config = ConfigDict(frozen=True, extra="ignore")

    run_id: UUID
    source: str
    shard: str = Field(WHOLE_SOURCE, description="A page, a file, or `*` for the whole source", min_length=1)
    trigger: Trigger
    requested_at: AwareDatetime
    expires_at: AwareDatetime = Field(description="Past this the command is stale: the run is skipped and says so")
