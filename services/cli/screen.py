"""What `kasparro up` shows: steps with a spinner on a terminal, one line a step elsewhere."""

import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager

from rich.console import Console
from rich.markup import escape
from rich.panel import Panel
from rich.progress import Progress, SpinnerColumn, TaskID, TextColumn, TimeElapsedColumn
from rich.text import Text


class Step:
    """One step in the making; `tell` says how far it is, `done_as` what it came to."""

    def __init__(self, screen: "Screen", title: str, task: TaskID) -> None:
        self._screen, self._task = screen, task
        self.title, self.outcome = title, ""

    def tell(self, progress: str) -> None:
        """Show progress beside the title, where lines can change."""
        self._screen.progress.update(self._task, description=f"{self.title}  [dim]{escape(progress)}")

    def done_as(self, outcome: str) -> None:
        """Say what it came to."""
        self.outcome = outcome


class Screen:
    """Everything goes to stdout but why a command failed; colours and spinners only where it is a terminal."""

    def __init__(self, console: Console | None = None, errors: Console | None = None) -> None:
        self.console = console or Console(highlight=False, soft_wrap=True)
        self.errors = errors or Console(highlight=False, soft_wrap=True, stderr=True)
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
        outcome = f": {escape(step.outcome)}" if step.outcome else ""
        self.console.print(f"[green]ok[/]  {title}{outcome}  [dim]{took:.1f} s[/]")

    def say(self, message: str) -> None:
        """Print one line."""
        self.console.print(Text(message))

    def warn(self, message: str) -> None:
        """Print one line that wants attention."""
        self.console.print(Text(f"!!  {message}", style="yellow"))

    def fail(self, message: str) -> None:
        """Print to stderr why there is nothing more to do."""
        self.errors.print(Text(f"error: {message}", style="bold red"))

    def log_line(self, service: str, line: str) -> None:
        """Print a line of a service's log behind its name."""
        self.console.print(Text.assemble((f"{service:12} ", "cyan"), line))

    def table(self, columns: Sequence[str], rows: Sequence[Sequence[str]]) -> None:
        """Print aligned columns that a pipe can cut."""
        widths = [max(len(row[place]) for row in (columns, *rows)) for place in range(len(columns))]
        for row in (columns, *rows):
            self.say("  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip())

    def banner(self, title: str, rows: Sequence[tuple[str, str]], notes: Sequence[str]) -> None:
        """Print the one banner."""
        width = max(len(name) for name, _ in rows)
        lines = [Text.assemble((f"{name:{width}}  ", "dim"), value) for name, value in rows]
        body = Text("\n").join([*lines, *(Text(note, style="yellow") for note in notes)])
        if self.console.is_terminal:
            self.console.print(Panel(body, title=title, expand=False, border_style="green"))
        else:
            self.console.print(Text(f"\n{title}\n{body.plain}\n"))
