"""What was measured, as a page with tables and pictures."""

import platform
import re
from collections.abc import Sequence
from datetime import UTC, datetime
from importlib.metadata import version
from pathlib import Path
from typing import NamedTuple

import psutil

from benchmarks.bars import bars
from benchmarks.peers.environments import requirements

OURS = ("aiohttp", "aiokafka", "asyncpg", "faust-streaming", "msgspec", "uvloop")
HEAD = """\
# Benchmarks

Written by `make bench ARGS="--report docs/benchmarks.md"`; run it to get yours, or a part of it (`--part`), which then stands
here in the place of the one before. Each part says when it was measured and with what. Absolute figures drift with the
machine: compare those of one table, whose runs took turns, and look at the ratios.

"""
MEASURED = """
*Measured on {day}: {cores} cores, {memory:.0f} GiB, Linux {linux}, Python {python}; {versions}.*
"""


class Section(NamedTuple):
    """A part of the page: its text with its table, the ratios to be drawn if any, and whose packages are to be named."""

    title: str
    text: str
    drawn: str
    ratios: Sequence[tuple[str, float]]
    peers: Sequence[str]


def say(line: str) -> None:
    """Show a step as soon as it is done."""
    print(line, flush=True)


def write(sections: Sequence[Section], path: Path) -> None:
    """Write the sections into the page, with their pictures beside it; others that it has stay as they are."""
    page = _sections_of(path.read_text()) if path.exists() else {}
    for section in sections:
        page[section.title] = _section(section, path)
    path.write_text(HEAD + "\n".join(page.values()))


def _sections_of(page: str) -> dict[str, str]:
    """Take a page apart, by title."""
    _, *sections = re.split(r"^(?=## )", page, flags=re.MULTILINE)
    return {section.partition("\n")[0].removeprefix("## "): section.rstrip("\n") + "\n" for section in sections}


def _section(section: Section, path: Path) -> str:
    measured = MEASURED.format(
        day=f"{datetime.now(UTC):%Y-%m-%d}",
        cores=psutil.cpu_count(),
        memory=psutil.virtual_memory().total / 2**30,
        linux=platform.release(),
        python=platform.python_version(),
        versions=", ".join(_versions(section.peers)),
    )
    written = f"## {section.title}\n{section.text.rstrip()}\n{measured}"
    if not section.ratios:
        return written
    picture = path.with_name(f"{path.stem}-{section.title.split()[0].lower()}.svg")
    picture.write_text(bars(section.ratios, mark=1.0))
    return f"{written}\n![{section.title}: {section.drawn}]({picture.name})\n"


def _versions(peers: Sequence[str]) -> Sequence[str]:
    """Name what the contenders are made of."""
    ours = [f"{name} {version(name)}" for name in OURS]
    listed = [path for peer in peers if (path := requirements(peer)).exists()]
    theirs = {line.replace("==", " ") for path in listed for line in path.read_text().split()}
    return ours + sorted(theirs - set(ours))
