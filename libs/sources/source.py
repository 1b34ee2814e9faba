"""What a source is to the rest of the system: how its rows are recognised, and what they say."""

from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime
from typing import NamedTuple

from libs.contracts.raw_tick import RawTickFrame
from libs.domain.quotes import Quote
from libs.domain.rejections import Rejection
from libs.domain.shapes import TypeOf, json_type


class RowIdentity(NamedTuple):
    """What a producer must know of a row to publish it; it reads nothing else of it."""

    source_id: str
    asset_uid: str
    source_updated_at: datetime


@dataclass(frozen=True, slots=True)
class Attribution:
    """What the provider's terms ask to be shown near its data."""

    text: str
    url: str


@dataclass(frozen=True, slots=True)
class Hosting:
    """Where a provider is asked over HTTP.

    `probe` answers whether it can be reached and costs no quota; `sandbox_path` is where the sandbox plays it. The producer's
    settings are called `<SOURCE>_BASE_URL` and `<SOURCE>_REQUESTS_PER_MINUTE`, so that `kasparro up` can point it there.
    """

    probe: str
    sandbox_path: str


@dataclass(frozen=True, slots=True)
class Source:
    """One provider. Each module of libs/sources that describes one ends in `SOURCE = Source(...)`; nothing else lists them.

    `identify` reads a row as sent (JSON object bytes) with the time to fall back on where the provider has none;
    `quote_of` reads a published tick. Both are pure and return what is wrong instead of raising. Which listing a row is, and
    whether it is one, hangs on its bytes alone; of what `identify` returns only the time may come from the fallback.
    `priority` breaks ties between sources, smaller first. An `optional` source runs only where EXTRA_SOURCES names it; its
    topics and its table are always there.
    """

    name: str
    priority: int
    attribution: Attribution | None
    identify: Callable[[bytes, datetime], RowIdentity | Rejection]
    quote_of: Callable[[RawTickFrame], Quote | Rejection]
    type_of: TypeOf = json_type
    """The type of a field's value, by which it is seen to drift: a file's cells are all strings."""
    hosting: Hosting | None = None
    optional: bool = False

    @property
    def raw_table(self) -> str:
        """The table of its raw rows; created by the source's own migration."""
        return f"raw_{self.name}"
