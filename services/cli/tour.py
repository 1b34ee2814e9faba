"""The help of the command line: a tour on its first page, and on the others examples to copy, each on a line of its own."""

import inspect
import re
from collections.abc import Mapping, Sequence
from typing import Any, Final

from typer.core import TyperCommand, TyperGroup

ROOMS: Final[Mapping[str, Mapping[str, str]]] = {
    "Start and stop": {
        "up": "run everything on this machine until Ctrl-C",
        "clean-state": "empty the state folder: data and logs",
    },
    "Look": {
        "status": "everything in one picture; what is wrong comes first",
        "watch": "prices as they change",
        "lag": "how far the normalizer is behind, by partition",
        "health": "what the HTTP API says of itself, as JSON",
    },
    "Act": {
        "run": "poll a source now, and show what came of it",
        "dead-letters": "see what could not be applied, send it back, give it up",
        "replay": "read ticks again, from an earlier offset or time",
        "alerts": "try whether operators can be told of incidents",
    },
    "Set up": {
        "topics": "create the topics that are missing",
        "migrate": "bring the tables to the version that this code needs",
    },
}
"""Every command, where one looks for it, in words that fit a line."""

TOUR: Final[Sequence[tuple[str, str]]] = (
    ("kasparro up", "starts everything; leave it running"),
    ("kasparro status", "is all well? the exit code says it to scripts"),
    ("kasparro watch btc eth", "the prices that it serves, live"),
    ("kasparro run coingecko", "asks a provider now, and counts its rows"),
    ("kasparro lag", "what waits in Kafka; 0 when all is applied"),
    ("kasparro dead-letters list", "what could not be applied, and why"),
)

_EXAMPLES: Final = re.compile(r"\n*^Examples?: (?P<examples>.*?)(?=\n\n|\Z)", re.MULTILINE | re.DOTALL)
_QUOTED: Final = re.compile(r"`([^`]+)`")


class _WithExamples:
    """What a docstring says behind `Examples:` is not wrapped like prose: it can be copied."""

    help: str | None

    def format_help_text(self, ctx: Any, formatter: Any) -> None:
        """Write the prose, then the examples."""
        said = inspect.cleandoc(self.help or "")
        found = _EXAMPLES.search(said)
        self.help = _EXAMPLES.sub("", said)
        super().format_help_text(ctx, formatter)  # type: ignore[misc] # of the command or the group that this is mixed with
        self.help = said
        if found:
            with formatter.section("Examples"):
                for example in _QUOTED.findall(found["examples"]):
                    formatter.write(f"{'':{formatter.current_indent}}{' '.join(example.split())}\n")


class Command(_WithExamples, TyperCommand):
    """A command."""


class Group(_WithExamples, TyperGroup):
    """A command with others below it."""


class Tour(Group):
    """The first page."""

    def format_commands(self, ctx: Any, formatter: Any) -> None:
        """Write every command in its room, then the tour."""
        del ctx
        for room, commands in ROOMS.items():
            with formatter.section(room):
                formatter.write_dl(list(commands.items()))
        with formatter.section("A first tour"):
            formatter.write_dl(list(TOUR))
