"""What the checks look at: everything that was sent and everything that is held, taken when all was quiet."""

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any
from uuid import UUID

from libs.contracts.asset import Asset
from libs.contracts.cursors import CURSOR, QuotaUsage
from libs.domain.identity import Listing
from tests.faults.ledger import Ledger, SeenTick
from tests.faults.tables import Tables
from tests.faults.watcher import Sample


@dataclass(frozen=True, slots=True)
class Evidence:
    """Made by `Audit.check`."""

    ledger: Ledger
    tables: Tables
    served: Mapping[Listing, UUID]
    """What each listing says now, as the provider itself answered us."""
    asked_for: frozenset[UUID]
    requests: Mapping[str, int]
    samples: Sequence[Sample]
    poisoned: bool = False
    """Somebody was told to send rows that can never be applied, or to refuse rows that can."""
    whole_answers_again: bool = False
    """A clock jumped over the time after which producers publish a whole answer again."""


def counted_requests(ledger: Ledger) -> Counter[str]:
    """What the quota has counted, by source."""
    counted: Counter[str] = Counter()
    for value in ledger.cursors.values():
        cursor = CURSOR.validate_json(value)
        if isinstance(cursor, QuotaUsage):
            counted[cursor.source] += cursor.month_requests + cursor.other_month_requests
    return counted


def applied_ticks(evidence: Evidence) -> list[SeenTick]:
    """Return the ticks that are in the tables."""
    raw, letters = evidence.tables.raw, evidence.ledger.letters
    return [
        tick
        for tick in evidence.ledger.ticks.values()
        if tick.tick_id is not None and tick.origin not in letters and tick.tick_id in raw[tick.source]
    ]


def fields_of(asset: Asset) -> dict[str, Any]:
    """Return what a message says, as the table says it."""
    fields = dict(asset)
    for name in ("anchor", "taken"):
        fields[name] = Listing(fields[name].source, fields[name].source_id)
    fields["agreeing"] = tuple(Listing(each.source, each.source_id) for each in asset.agreeing)
    return fields
