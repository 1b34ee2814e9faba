"""The parts of the stack, and which of them to start."""

import sys
from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

from libs.sources.catalogue import OPTIONAL, running
from services.cli.errors import UnknownPartError
from services.cli.settings import ROOT

KAFKA, POSTGRES, NORMALIZER, QUERY, SANDBOX = "kafka", "postgres", "normalizer", "query", "sandbox"


@dataclass(frozen=True, slots=True)
class Parts:
    """What to start. The servers are started when a service needs them and the environment names no other."""

    producers: tuple[str, ...]
    normalizer: bool
    query: bool
    servers: bool = True

    @property
    def services(self) -> tuple[str, ...]:
        """Names, in the order in which they are stopped."""
        return (*self.producers, *((NORMALIZER,) if self.normalizer else ()), *((QUERY,) if self.query else ()))


def producers_found(folder: Path = ROOT / "services" / "producers") -> tuple[str, ...]:
    """Return every source that has a producer: the folders are the list."""
    return tuple(sorted(path.parent.name for path in folder.glob("*/__main__.py")))


def choose(*, only: Sequence[str], producers: bool, normalizer: bool, query: bool, extra_sources: Collection[str] = ()) -> Parts:
    """Resolve the options: `only` names parts (a source, `producers`, `normalizer`, `query`, `servers`), the rest take away.

    What is both named and taken away is not started. An optional source is only there when `extra_sources` names it.
    """
    found = tuple(source for source in producers_found() if source in running(extra_sources))
    if not only:
        return Parts(found if producers else (), normalizer=normalizer, query=query)
    known = {*found, "producers", "servers", NORMALIZER, QUERY}
    if asleep := sorted(set(only) & OPTIONAL - known):
        raise UnknownPartError(f"{', '.join(asleep)} runs only when it is named: EXTRA_SOURCES={','.join(asleep)}")
    if unknown := sorted(set(only) - known):
        raise UnknownPartError(f"no part {', '.join(unknown)}; there are {', '.join(sorted(known))}")
    chosen = found if "producers" in only else tuple(each for each in found if each in only)
    return Parts(chosen if producers else (), normalizer=normalizer and NORMALIZER in only, query=query and QUERY in only)


def module_of(service: str) -> str:
    """Return the module that is the service."""
    return f"services.{service}" if service in {NORMALIZER, QUERY, SANDBOX} else f"services.producers.{service}"


def command_of(service: str) -> list[str | Path]:
    """Return the command that runs a service."""
    return [sys.executable, "-m", module_of(service)]


def listed(names: Iterable[str]) -> str:
    """Return names as a sentence has them."""
    return ", ".join(names) or "none"
