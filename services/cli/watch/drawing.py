"""One picture of `kasparro watch`, just as large as the terminal."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Final

from rich.console import Group
from rich.text import Text

from services.cli.screen import SANDBOX_MARK
from services.cli.tables import fitted
from services.cli.terminal_text import on_one_line
from services.cli.watch.assets import Attribution
from services.cli.watch.board import Board, Row
from services.cli.watch.columns import GAP, Column, Now, that_fit
from services.cli.watch.updates import Link, LinkChanged

MARKS: Final = {Link.LIVE: ("●", "green"), Link.POLLING: ("◐", "yellow"), Link.LOST: ("○", "bold red")}
CONNECTING: Final = LinkChanged(Link.LOST, "connecting")


@dataclass(slots=True)
class Picture:
    """What there is to draw beside the rows."""

    board: Board
    api: str
    most: int
    """Rows; fewer where the terminal has no room for them."""
    sandbox: bool
    attribution: Sequence[Attribution] = ()
    link: LinkChanged = CONNECTING

    def drawn(self, width: int, height: int, now: Now) -> Group:
        """Return the picture, a line of text each line of the terminal."""
        above, below = list(self._above(width, now)), list(self._below(width))
        columns = that_fit(width)
        room = max(1, height - len(above) - len(below) - 1)
        rows = self.board.shown(min(self.most, room))
        lines = [_titles(columns), *(_line(columns, row, now) for row in rows)]
        for line in lines:
            line.truncate(width)
        if not rows:
            lines.append(Text(fitted("no assets yet", width), style="dim"))
        return Group(*above, *lines, *below)

    def _above(self, width: int, now: Now) -> Iterator[Text]:
        mark, style = MARKS[self.link.link]
        yield Text.assemble(
            (mark, style), " ", (fitted(f"{self.link.words}  {self.api}  {now.utc:%H:%M:%S} UTC", max(2, width - 2)), "bold")
        )
        if self.sandbox:
            yield Text(fitted(f" {SANDBOX_MARK}", width), style="bold white on red")

    def _below(self, width: int) -> Iterator[Text]:
        if self.link.why:
            yield Text(fitted(self.link.why, width), style="yellow")
        if self.board.skipped:
            words = f"{self.board.skipped} changes were skipped: this terminal was slow; what is shown is the latest"
            yield Text(fitted(words, width), style="yellow")
        line = "   ".join(f"{each.text} {each.url}" for each in self.attribution)
        yield Text(fitted(line, width), style="dim")


def _titles(columns: Sequence[Column]) -> Text:
    return Text((" " * GAP).join(fitted(each.title, each.width, right=each.right) for each in columns), style="dim underline")


def _line(columns: Sequence[Column], row: Row, now: Now) -> Text:
    asset = row.asset
    if asset is None:
        return Text.assemble((f"{on_one_line(row.asset_uid)} ", "bold"), ("is not there", "dim"))
    line = Text()
    for place, column in enumerate(columns):
        text, style = column.cell(row, asset, now)
        line.append(" " * GAP if place else "")
        line.append(fitted(text, column.width, right=column.right), style=style)
    return line
