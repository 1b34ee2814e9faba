"""Which run's trace an asset belongs to: that of the tick that changed it. A chunk may hold ticks of several runs."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Final
from uuid import UUID

from libs.contracts.trace_context import TraceContext, context_in, context_of_run
from libs.postgres.writing.chunks import Entry
from libs.postgres.writing.ticks import Tick
from libs.streaming.chunks import Record

Headers = Sequence[tuple[str, bytes]]


def traces_in(records: Sequence[Record], entries: Sequence[Entry]) -> dict[UUID, TraceContext]:
    """Return each run's trace, as the first of its ticks among the records says it."""
    found: dict[UUID, TraceContext] = {}
    seen: set[int] = set()  # as numbers: to look for an UUID takes five times as long
    for record, entry in zip(records, entries, strict=True):
        if isinstance(entry, Tick) and (run_id := entry.quote.run_id).int not in seen:
            seen.add(run_id.int)
            found[run_id] = context_in(record.headers) or context_of_run(run_id)
    return found


@dataclass(frozen=True, slots=True)
class Traces:
    """The traces of what was written together."""

    runs: tuple[TraceContext, ...] = ()
    _only: Headers = ()
    """Of every asset, where all the ticks are of one run: nearly always."""
    _by_asset: Mapping[str, Headers] = field(default_factory=dict)

    def headers_of(self, asset_uid: str) -> Headers:
        """Return the headers of an asset's record; none where no tick of these has its uid, such as when a listing left it."""
        return self._only or self._by_asset.get(asset_uid, ())


NO_TRACES: Final = Traces()
"""Of assets that another worker's ticks have changed."""


def traces_of(reads: Sequence[tuple[Mapping[UUID, TraceContext], Sequence[Entry]]]) -> Traces:
    """Return the traces of some chunks' entries, which come with what `traces_in` found in them."""
    runs = {run_id: context for contexts, _ in reads for run_id, context in contexts.items()}
    known = tuple(runs.values())
    if len(runs) < 2:  # noqa: PLR2004 one needs no telling apart
        return Traces(known, known[0].headers if known else ())
    headers = {run_id.int: context.headers for run_id, context in runs.items()}
    quotes = (entry.quote for _, entries in reads for entry in entries if isinstance(entry, Tick))
    return Traces(known, (), {quote.asset_uid: headers[quote.run_id.int] for quote in quotes})
