"""A delimited text file as rows: each one payload bytes to publish, or the reason why it cannot be, with its line number."""

import csv
import io
import re
from collections import deque
from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import TextIO

import msgspec

from libs.domain.rejections import Reason, Rejection
from libs.sources.answers import AnswerError
from libs.sources.delimited.columns import fields_of, unique_columns

DELIMITERS = ",;\t|"
MOST_LINES_OF_A_ROW = 50
"""A quoted cell may hold line breaks; a quote that is open for longer was never closed."""
LONGEST_DEAD_LETTER = 256 * 1024
"""Bytes of an unreadable row that are kept; a topic takes messages of 1 MiB."""

_HEAD = 200
_EXCEL_HINT = re.compile(r"sep=.?", re.IGNORECASE)
_NOT_TEXT = {
    b"PK\x03\x04": "a zip archive or an Excel workbook",
    b"\x1f\x8b": "gzip",
    b"\xd0\xcf\x11\xe0": "an old Excel workbook",
}
_BYTE_ORDER_MARKS = {b"\xef\xbb\xbf": "utf-8-sig", b"\xff\xfe": "utf-16", b"\xfe\xff": "utf-16"}


@dataclass(frozen=True, slots=True)
class TableRow:
    """One row, which begins at `line` of the file (from 1).

    `payload` is a JSON object (header -> cell, as in the file, in its order), or, when `rejection` says why there is none,
    the row's own text in UTF-8.
    """

    line: int
    payload: bytes
    rejection: Rejection | None = None


@dataclass(frozen=True, slots=True)
class Table:
    """A file whose header has been read. `rows` can be walked once and reads the file as it goes."""

    name: str
    columns: tuple[str, ...]
    rows: Iterator[TableRow]


def read_table(content: bytes, name: str) -> Table:
    """Read a file's header and prepare its rows.

    UTF-8, with or without a byte order mark, or UTF-16 with one; comma, semicolon, tab or bar between cells. Raises
    AnswerError when the file is no such text or has no symbol column.
    """
    lines = _Lines(_opened(content, name))
    delimiter, header = _header(lines, name)
    columns = unique_columns(header)
    if "symbol" not in fields_of(columns):
        found = ", ".join(repr(column[:60]) for column in columns[:40])
        raise AnswerError(f"{name} has no symbol column; the columns found are {found}. Name one of them symbol")
    return Table(name, columns, _rows(lines, header, columns, delimiter))


class _Lines:
    """The file's lines, numbered, with the means to take back those that a failed row had swallowed."""

    def __init__(self, text: TextIO) -> None:
        self._text = text
        self._again: deque[str] = deque()
        self.number = 0

    def __iter__(self) -> Iterator[str]:
        return self

    def __next__(self) -> str:
        line = self._again.popleft() if self._again else next(self._text)
        self.number += 1
        return line

    def take_back(self, lines: list[str]) -> None:
        self._again.extendleft(reversed(lines))
        self.number -= len(lines)


@dataclass(frozen=True, slots=True)
class _Record:
    """What the csv module made of some lines; `error` when it could make nothing."""

    line: int
    text: list[str]
    cells: list[str]
    error: str | None = None


def _record(lines: _Lines, delimiter: str) -> _Record | None:
    """Read the next record; None at the end of the file."""
    line, text = lines.number + 1, list[str]()

    def feed() -> Iterator[str]:
        for taken in lines:
            text.append(taken)
            if len(text) > MOST_LINES_OF_A_ROW:
                raise csv.Error(f"a quote is open for over {MOST_LINES_OF_A_ROW} lines")
            yield taken

    reader = csv.reader(feed(), delimiter=delimiter, strict=True, skipinitialspace=True)
    try:
        return _Record(line, text, next(reader))
    except StopIteration:
        return None
    except csv.Error as error:
        return _Record(line, text, [], str(error))


def _header(lines: _Lines, name: str) -> tuple[str, list[str]]:
    """Return the delimiter and the header's cells: the delimiter under which it has a symbol column, then the most columns."""
    for line in lines:
        if line.strip() and not _EXCEL_HINT.fullmatch(line.strip()):
            lines.take_back([line])
            break
    else:
        raise AnswerError(f"{name} is empty")
    tried: list[tuple[bool, int, str]] = []
    for delimiter in DELIMITERS:
        record = _record(lines, delimiter)
        if record is not None:
            lines.take_back(record.text)
            has_symbol = "symbol" in fields_of(unique_columns(record.cells))
            tried.append((has_symbol, len(record.cells), delimiter))
    delimiter = max(tried, key=lambda one: one[:2])[2]
    record = _record(lines, delimiter)
    if record is None or record.error is not None:
        raise AnswerError(f"the header of {name} cannot be read: {record.error if record else 'it is missing'}")
    if _is_broken("".join(record.cells)):
        raise AnswerError(f"the header of {name} is not UTF-8: save it as UTF-8")
    return delimiter, record.cells


def _rows(lines: _Lines, header: list[str], columns: tuple[str, ...], delimiter: str) -> Iterator[TableRow]:
    while (record := _record(lines, delimiter)) is not None:
        if not any(cell.strip() for cell in record.cells) and record.error is None:
            continue
        if record.cells == header:
            continue  # files joined end to end repeat their header
        row = _row(record, columns)
        if row.rejection is not None and len(record.text) > 1:
            # A quote that was never closed has swallowed its neighbours: only the first line pays for it.
            lines.take_back(record.text[1:])
            row = replace(row, payload=_kept(record.text[:1]))
        yield row


def _row(record: _Record, columns: tuple[str, ...]) -> TableRow:
    rejection = _rejection(record, columns)
    if rejection is not None:
        return TableRow(record.line, _kept(record.text), rejection)
    return TableRow(record.line, msgspec.json.encode(dict(zip(columns, record.cells, strict=False))))


def _rejection(record: _Record, columns: tuple[str, ...]) -> Rejection | None:
    """`strict=False` above is safe: what is over the columns is blank, or the row is refused here."""
    if record.error is not None:
        return Rejection(Reason.UNDECODABLE, f"line {record.line} cannot be split into cells: {record.error}")
    cells, beyond = len(record.cells), record.cells[len(columns) :]
    if cells < len(columns) or any(cell.strip() for cell in beyond):
        hint = "; a number with thousands separators needs quotes" if beyond else ""
        return Rejection(Reason.WRONG_SHAPE, f"line {record.line} has {cells} cells, the header {len(columns)}{hint}")
    if _is_broken("".join(record.cells)):
        return Rejection(Reason.UNDECODABLE, f"line {record.line} is not UTF-8")
    return None


def _is_broken(text: str) -> bool:
    """Whether it holds a byte that was not UTF-8."""
    try:
        text.encode()
    except UnicodeEncodeError:
        return True
    return False


def _kept(text: list[str]) -> bytes:
    return "".join(text).encode("utf-8", "surrogateescape")[:LONGEST_DEAD_LETTER]


def _opened(content: bytes, name: str) -> TextIO:
    for magic, what in _NOT_TEXT.items():
        if content.startswith(magic):
            raise AnswerError(f"{name} is {what}, not text: save it as CSV")
    encoding = next((encoding for mark, encoding in _BYTE_ORDER_MARKS.items() if content.startswith(mark)), "utf-8")
    head = content[:_HEAD]
    if encoding == "utf-8" and head.count(b"\x00") * 4 > len(head):
        raise AnswerError(f"{name} is not text, or UTF-16 without a byte order mark: save it as UTF-8")
    # A byte that is not UTF-8 spoils its own row only: it comes through as a lone surrogate and is found there.
    errors = "replace" if encoding == "utf-16" else "surrogateescape"
    return io.TextIOWrapper(io.BytesIO(content), encoding=encoding, errors=errors, newline="")
