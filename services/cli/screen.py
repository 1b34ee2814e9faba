"""What `kasparro up` shows: steps with a spinner on a terminal, one line a step elsewhere."""

import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Final

from rich.cells import cell_len
from rich.console import Console
from rich.markup import escape
from rich.panel import Panel
from rich.progress import Progress, SpinnerColumn, TaskID, TextColumn, TimeElapsedColumn
from rich.text import Text

from services.cli.tables import STYLES, Table, Tone, draw
from services.cli.terminal_text import on_lines, on_one_line

SANDBOX_MARK: Final = "SANDBOX: these numbers are made up"


READER_GONE: Final = 141
"""As a shell names an end by SIGPIPE (`| head`). Rich's own 1 would say that something is wrong."""


class _Console(Console):
    def on_broken_pipe(self) -> None:
        try:
            super().on_broken_pipe()
        except SystemExit:
            raise SystemExit(READER_GONE) from None


class Step:
    """One step in the making; `tell` says how far it is, `done_as` what it came to."""

    def __init__(self, screen: "Screen", title: str, task: TaskID) -> None:
        self._screen, self._task = screen, task
        self.title, self.outcome = title, ""

    def tell(self, progress: str) -> None:
        """Show progress beside the title, where lines can change."""
        self._screen.progress.update(self._task, description=f"{self.title}  [dim]{escape(on_one_line(progress))}")

    def done_as(self, outcome: str) -> None:
        """Say what it came to."""
        self.outcome = outcome


class Screen:
    """Everything goes to stdout but why a command failed; colours and spinners only where it is a terminal.

    What is printed may come from a provider: nothing of it is an order to the terminal.
    """

    def __init__(self, console: Console | None = None, errors: Console | None = None) -> None:
        self.console = console or _Console(highlight=False, soft_wrap=True)
        self.errors = errors or _Console(highlight=False, soft_wrap=True, stderr=True)
        columns = (SpinnerColumn(), TextColumn("{task.description}"), TimeElapsedColumn())
        self.progress = Progress(*columns, console=self.console, transient=True, disable=not self.console.is_terminal)

    @contextmanager
    def shown(self) -> Iterator[None]:
        """Show the spinners of steps in the making, if any can be shown."""
        with self.progress:
            yield

    @contextmanager
    def step(self, title: str) -> Iterator[Step]:
        """Time a step and print it once it is done; one that fails is printed by whoever explains the failure."""
        started = time.monotonic()
        step = Step(self, title, self.progress.add_task(title, total=None))
        try:
            yield step
        finally:
            self.progress.remove_task(step._task)  # noqa: SLF001 - the two are one
        took = time.monotonic() - started
        outcome = f": {escape(on_one_line(step.outcome))}" if step.outcome else ""
        self.console.print(f"[green]ok[/]  {title}{outcome}  [dim]{took:.1f} s[/]")

    def say(self, message: str) -> None:
        """Print one line."""
        self.console.print(Text(on_lines(message)))

    def warn(self, message: str) -> None:
        """Print one line that wants attention."""
        self.console.print(Text(f"!!  {on_lines(message)}", style="yellow"))

    def fail(self, message: str) -> None:
        """Print to stderr why there is nothing more to do."""
        self.errors.print(Text(f"error: {on_lines(message)}", style="bold red"))

    def tell(self, message: str) -> None:
        """Print to stderr what is for people alone, while stdout is for what a script reads."""
        self.errors.print(Text(on_lines(message), style="dim"))

    def log_line(self, service: str, line: str) -> None:
        """Print a line of a service's log behind its name."""
        self.console.print(Text.assemble((f"{service:12} ", "cyan"), on_lines(line)))

    def table(self, columns: Sequence[str], rows: Sequence[Sequence[str]]) -> None:
        """Print aligned columns that a pipe can cut."""
        shown = [[on_one_line(cell) for cell in row] for row in (columns, *rows)]
        widths = [max(cell_len(row[place]) for row in shown) for place in range(len(columns))]
        for row in shown:
            padded = (cell + " " * (width - cell_len(cell)) for cell, width in zip(row, widths, strict=True))
            self.say("  ".join(padded).rstrip())

    def draw(self, table: Table) -> None:
        """Print a table whose cells mean something."""
        draw(self.console, table)

    def judge(self, verdict: str, message: str, tone: Tone) -> None:
        """Print one line behind what it comes to, such as `wrong`."""
        self.console.print(Text.assemble((f"{verdict:5}  ", STYLES[tone]), on_one_line(message)))

    def mark_sandbox(self) -> None:
        """Say loudly that the data are made up."""
        self.console.print(Text(f" {SANDBOX_MARK} " if self.console.is_terminal else SANDBOX_MARK, style="bold white on red"))

    def banner(self, title: str, rows: Sequence[tuple[str, str]], notes: Sequence[str]) -> None:
        """Print the one banner."""
        width = max(len(name) for name, _ in rows)
        lines = [Text.assemble((f"{name:{width}}  ", "dim"), on_one_line(value)) for name, value in rows]
        body = Text("\n").join([*lines, *(Text(note, style="yellow") for note in notes)])
        if self.console.is_terminal:
            self.console.print(Panel(body, title=title, expand=False, border_style="green"))
        else:
            self.console.print(Text(f"\n{title}\n{body.plain}\n"))
