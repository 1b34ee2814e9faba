"""What a chunk brings to the database."""

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Final, NamedTuple
from uuid import UUID

import msgspec

from libs.domain.quotes import Quote
from libs.postgres.pool import Connection
from libs.postgres.writing.incoming import Incoming

_TYPES: Final = {"market_cap_rank": "integer", "source_updated_at": "timestamptz", "fetched_at": "timestamptz"} | dict.fromkeys(
    ("tick_id", "run_id"), "uuid"
)
INCOMING: Final = Incoming("incoming_ticks", [(name, _TYPES.get(name, "text")) for name in (*Quote._fields, "payload")])


class Tick(NamedTuple):
    """An accepted record: the quote it makes, and its payload as the provider sent it, in UTF-8: a view of the record's bytes.

    `counts` for its run unless it is a re-driven dead letter: that was counted when it was set aside.
    """

    offset: int
    quote: Quote
    payload: msgspec.Raw
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


async def stage(connection: Connection, ticks: Iterable[Tick]) -> None:
    """Put the ticks into the table `incoming_ticks`, from where `raw_ticks` and `quotes` take them."""
    await INCOMING.stage(connection, ((*tick.quote, str(tick.payload, "utf-8")) for tick in ticks))
