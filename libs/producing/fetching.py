"""What a source's fetcher is to the producer runtime: it names shards and fetches them, and knows nothing of Kafka."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Protocol

from libs.domain.rejections import Rejection
from libs.sources.source import Source

MOST_ROWS = 200_000
"""Of one answer: its cursor, 24 bytes a row in base64, must fit into one message of etl.cursors with what it carries on."""


class FetchFailedError(Exception):
    """A shard could not be had. The words are for a person: the source, what came, what to do about it."""


@dataclass(frozen=True, slots=True)
class Answer:
    """A shard's whole answer, its rows as sent. `updated_at` is the event time of rows that have none of their own."""

    rows: Sequence[bytes]
    fetched_at: datetime
    updated_at: datetime
    positions: Sequence[str] = ()
    """Where each row stood in a file (`name:line`); nothing when they came in no file."""
    rejections: Mapping[int, Rejection] = field(default_factory=dict)
    """What is wrong with rows that cannot be read at all, by their places."""


@dataclass(frozen=True, slots=True)
class NothingToDo:
    """There is nothing to poll; the run is skipped with this reason."""

    reason: str


class Permit(Protocol):
    """Leave to send requests for one command, from the quota of the source's API key."""

    @property
    def deadline(self) -> datetime:
        """When the command expires; nothing is waited for past it."""
        ...

    async def admit(self) -> None:
        """Wait for the quota and count one request, durably, before it is sent.

        Raises FetchFailedError when the budget allows none before the deadline.
        """
        ...

    async def hold_until(self, time: datetime) -> None:
        """Remember, for everybody who uses the key, that the provider wants no request before this."""
        ...


class Fetcher(Protocol):
    """One source."""

    @property
    def source(self) -> Source:
        """What its rows are."""
        ...

    async def shards(self) -> Sequence[str] | NothingToDo:
        """Divide the source into parts that are fetched by themselves. Raises FetchFailedError."""
        ...

    async def fetch(self, shard: str, permit: Permit) -> Answer:
        """Fetch one shard, admitted by `permit` before each request. Raises FetchFailedError."""
        ...
