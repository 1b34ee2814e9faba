"""Tables that are coloured on a terminal and plain, aligned lines in a pipe, from the same cells."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import Final, NamedTuple

from rich.cells import cell_len, set_cell_size
from rich.console import Console
from rich.style import Style
from rich.text import Text

from services.cli.terminal_text import on_one_line

GAP: Final = "  "


class Tone(StrEnum):
    """What a cell means; a colour says it again, and never alone."""

    PLAIN = "plain"
    GOOD = "good"
    NOTE = "note"
    WRONG = "wrong"
    QUIET = "quiet"
    TITLE = "title"
    RISE = "rise"
    FALL = "fall"


STYLES: Final[Mapping[Tone, Style]] = {
    Tone.PLAIN: Style(),
    Tone.GOOD: Style(color="green"),
    Tone.NOTE: Style(color="yellow"),
    Tone.WRONG: Style(color="red", bold=True),
    Tone.QUIET: Style(dim=True),
    Tone.TITLE: Style(bold=True),
    Tone.RISE: Style(color="green"),
    Tone.FALL: Style(color="red"),
}


class Cell(NamedTuple):
    """What stands in a column, and what it means."""

    text: str
    tone: Tone = Tone.PLAIN


@dataclass(frozen=True, slots=True)
class Table:
    """Rows under a title; `nothing` stands there when there are none. `numbers` are the columns that are aligned to the right."""

    title: str
    columns: Sequence[str]
    rows: Sequence[Sequence[Cell]]
    nothing: str = "none"
    numbers: frozenset[str] = frozenset()


def draw(console: Console, table: Table) -> None:
    """Print the table; on a terminal what is wider than it is cut, in a pipe nothing is."""
    console.print(Text(table.title, style=STYLES[Tone.TITLE]))
    if not table.rows:
        console.print(Text(GAP + table.nothing, style=STYLES[Tone.QUIET]))
        return
    rows = [[Cell(on_one_line(cell.text), cell.tone) for cell in row] for row in table.rows]
    widths = [max(cell_len(row[place].text) for row in (_header(table), *rows)) for place in range(len(table.columns))]
    for row in (_header(table), *rows):
        line = _line(row, widths, [name in table.numbers for name in table.columns])
        if console.is_terminal:
            line.truncate(console.width, overflow="ellipsis")
        console.print(line, soft_wrap=True)


def _header(table: Table) -> list[Cell]:
    return [Cell(name, Tone.QUIET) for name in table.columns]


def _line(row: Sequence[Cell], widths: Sequence[int], to_the_right: Sequence[bool]) -> Text:
    line = Text()
    for cell, width, right in zip(row, widths, to_the_right, strict=True):
        padding = " " * (width - cell_len(cell.text))
        line.append(GAP)
        line.append(padding + cell.text if right else cell.text + padding, style=STYLES[cell.tone])
    line.rstrip()
    return line


def fitted(text: str, width: int, *, right: bool = False) -> str:
    """Return the text on one line in just so many cells of a terminal, cut if it is longer."""
    shown = on_one_line(text)
    if cell_len(shown) > width:
        return set_cell_size(shown, width - 1) + "…"
    padding = " " * (width - cell_len(shown))
    return padding + shown if right else shown + padding
