"""What a chunk brings to the database."""

from dataclasses import dataclass
from typing import NamedTuple
from uuid import UUID

from libs.domain.quotes import Quote


class Tick(NamedTuple):
    """An accepted record: the quote it makes, and its payload as the text that the provider sent."""

    offset: int
    quote: Quote
    payload: str


class SetAside(NamedTuple):
    """A rejected record, which is counted for its run when that is known."""

    offset: int
    run_id: UUID | None


@dataclass(frozen=True, slots=True)
class Counted:
    """What became of a chunk's records."""

    stored: int
    duplicate: int
    dead_lettered: int
