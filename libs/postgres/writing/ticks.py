"""What a chunk brings to the database."""

from dataclasses import dataclass
from typing import NamedTuple
from uuid import UUID

from libs.domain.quotes import Quote


class Tick(NamedTuple):
    """An accepted record: the quote it makes, and its payload as the text that the provider sent.

    `counts` for its run unless it is a re-driven dead letter: that was counted when it was set aside.
    """

    offset: int
    quote: Quote
    payload: str
    counts: bool = True


class SetAside(NamedTuple):
    """A rejected record, which is counted for its run when that is known, and when it is not a re-driven one."""

    offset: int
    run_id: UUID | None


@dataclass(frozen=True, slots=True)
class Counted:
    """What became of a chunk's records."""

    stored: int
    duplicate: int
    dead_lettered: int
