"""A file of market data: rows as `read_table` (libs/sources/delimited) made them, a JSON object of header -> cell."""

from collections.abc import Mapping, Sequence
from datetime import datetime
from decimal import Decimal

import msgspec

from libs.contracts.raw_tick import RawTickFrame
from libs.domain.identity import asset_uid_of
from libs.domain.quotes import Quote
from libs.domain.rejections import Reason, Rejection
from libs.sources.delimited.columns import fields_of, says_percent
from libs.sources.delimited.numbers import is_missing, number_of, uses_decimal_comma
from libs.sources.delimited.times import cell_time
from libs.sources.numbers import check_numbers
from libs.sources.rows import EARLIEST, quote_from, read_row, row_identity
from libs.sources.source import RowIdentity, Source

Cells = dict[str, str]

_cells = msgspec.json.Decoder(Cells)
_NUMBERS = (
    "price",
    "market_cap",
    "volume",
    "percent_change_1h",
    "percent_change_24h",
    "percent_change_7d",
    "circulating_supply",
    "total_supply",
    "max_supply",
    "rank",
)
"""In the order of Quote, the rank last."""


def identify(payload: bytes, fallback: datetime) -> RowIdentity | Rejection:
    """Name the listing: by its id column, else by its asset_uid. The fallback, the file's own time, dates rows without one."""
    cells = read_row(_cells, payload, whole=_cells)
    if isinstance(cells, Rejection):
        return cells
    fields = fields_of(tuple(cells))
    source_id, symbol = _listing(cells, fields)
    # Without an id there is no symbol either, and the symbol is what the person who mends the row must hear of.
    # A file copied without its time is dated 1970: then its rows are merely older than everything.
    return row_identity(source_id or "-", symbol, _time(cells, fields, max(fallback, EARLIEST)))


def quote_of(frame: RawTickFrame) -> Quote | Rejection:
    """Read what the row says."""
    cells = read_row(_cells, bytes(frame.payload), whole=_cells)
    if isinstance(cells, Rejection):
        return cells
    fields = fields_of(tuple(cells))
    source_id, symbol = _listing(cells, fields)
    comma = any(uses_decimal_comma(cells[column]) for field in _NUMBERS for column in fields.get(field, ()))
    numbers: list[Decimal | None] = []
    for field in _NUMBERS:
        number = _number(cells, fields.get(field, ()), field, comma=comma)
        if isinstance(number, Rejection):
            return number
        numbers.append(number)
    checked = check_numbers(numbers, _NUMBERS)
    if isinstance(checked, Rejection):
        return checked
    name = _first(cells, fields.get("name", ()))
    return quote_from(frame, source_id=source_id, symbol=symbol, name=name, numbers=checked[0], rank=checked[1])


def _listing(cells: Cells, fields: Mapping[str, Sequence[str]]) -> tuple[str | None, str | None]:
    """Return the id and the symbol. A row without a symbol gets no id either: the symbol is what is wrong with it."""
    symbol = _first(cells, fields.get("symbol", ()))
    asset_uid = asset_uid_of(symbol)
    fallback = None if isinstance(asset_uid, Rejection) else asset_uid
    return _first(cells, fields.get("source_id", ())) or fallback, symbol


def _first(cells: Cells, columns: Sequence[str]) -> str | None:
    return next((cell.strip() for column in columns if (cell := cells[column]).strip()), None)


def _time(cells: Cells, fields: Mapping[str, Sequence[str]], fallback: datetime) -> datetime | Rejection:
    column = next(iter(fields.get("updated_at", ())), None)
    if column is None or is_missing(cells[column]):
        return fallback
    return cell_time(column, cells[column])


def _number(cells: Cells, columns: Sequence[str], field: str, *, comma: bool) -> Decimal | Rejection | None:
    """Read the cell of a field; where the file repeats a column, the copies must agree."""
    read: dict[str, Decimal] = {}
    for column in columns:
        number = _cell_number(column, cells[column], field, comma=comma)
        if isinstance(number, Rejection):
            return number
        if number is not None:
            read[column] = number
    if len(set(read.values())) > 1:
        return Rejection(Reason.UNREADABLE_NUMBER, f"{' and '.join(map(repr, read))} disagree on the {field}")
    return next(iter(read.values()), None)


def _cell_number(column: str, cell: str, field: str, *, comma: bool) -> Decimal | Rejection | None:
    """Read a cell. A change whose column and cell do not say "per cent" may be in dollars: it is left out, not guessed."""
    percent = field.startswith("percent")
    if percent and not says_percent(column) and "%" not in cell:
        return None
    shown = cell.strip().removeprefix("#") if field == "rank" else cell
    return number_of(column, shown, percent=percent, beside_decimal_comma=comma)


def type_of(cell: object) -> str | None:
    """Tell a column of numbers from one of words; None where a cell says that there is nothing."""
    if not isinstance(cell, str) or is_missing(cell):
        return None
    return "text" if isinstance(number_of("", cell, percent=True), Rejection) else "numeral"


SOURCE = Source(name="csv", priority=3, attribution=None, identify=identify, quote_of=quote_of, type_of=type_of)
