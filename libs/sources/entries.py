"""What names an entry of a provider that calls it `id`, `symbol` and `last_updated`: CoinGecko and CoinPaprika both do."""

from datetime import datetime

import msgspec

from libs.domain.rejections import Rejection
from libs.sources.rows import read_row, row_identity, time_of, undamaged
from libs.sources.source import RowIdentity


class _Known(msgspec.Struct, frozen=True):
    id: str | None = None
    symbol: str | None = None
    last_updated: str | None = None


_known = msgspec.json.Decoder(_Known)
_TEXT = (str, type(None))


def identify_entry(payload: bytes, fallback: datetime) -> RowIdentity | Rejection:
    """Name the listing, with the fallback for a time that it does not tell. A good row is read once."""
    row = undamaged(payload)
    if isinstance(row, Rejection):
        return row
    source_id, symbol, updated = row.get("id"), row.get("symbol"), row.get("last_updated")
    if not (isinstance(source_id, _TEXT) and isinstance(symbol, _TEXT) and isinstance(updated, _TEXT)):
        known = read_row(_known, payload)  # which says in words what is wrong
        if isinstance(known, Rejection):
            return known
        source_id, symbol, updated = known.id, known.symbol, known.last_updated
    return row_identity(source_id, symbol, time_of("last_updated", updated, fallback))
