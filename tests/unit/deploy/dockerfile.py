"""What deploy/Dockerfile says, read without a Docker engine: its stages and their instructions."""

import json
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import NamedTuple

PATH = Path("deploy/Dockerfile")
CONTEXT = ""
"""Where a COPY without --from takes its files: the clone."""


class Instruction(NamedTuple):
    """One instruction, its lines joined."""

    word: str
    rest: str


class Copied(NamedTuple):
    """What a COPY takes, and from which stage."""

    stage: str
    source: str


@dataclass(slots=True)
class Stage:
    """What stands between one FROM and the next."""

    name: str
    parent: str
    instructions: list[Instruction] = field(default_factory=list)

    def of(self, word: str) -> list[str]:
        """Return what follows this word, wherever it stands."""
        return [each.rest for each in self.instructions if each.word == word]

    @property
    def copied(self) -> list[Copied]:
        """Return each source of each COPY."""
        return [copied for rest in self.of("COPY") for copied in _copied(rest)]

    @property
    def environment(self) -> dict[str, str]:
        """Return what ENV sets."""
        return dict(re.findall(r"(\w+)=(\S+)", " ".join(self.of("ENV"))))

    @property
    def entrypoint(self) -> list[str]:
        """Return the command in exec form; a shell's form is no JSON and raises."""
        (command,) = self.of("ENTRYPOINT")
        return [str(word) for word in json.loads(command)]

    @property
    def health_check(self) -> list[str] | None:
        """Return the command of HEALTHCHECK in exec form."""
        checks = self.of("HEALTHCHECK")
        return [str(word) for word in json.loads(checks[0].partition(" CMD ")[2])] if checks else None


def stages(text: str | None = None) -> Mapping[str, Stage]:
    """Return the stages by name, in order. Those that end an image have an ENTRYPOINT."""
    found: dict[str, Stage] = {}
    for word, rest in _instructions(text if text is not None else PATH.read_text(encoding="utf-8")):
        if word == "FROM":
            parent, _, name = rest.partition(" AS ")
            found[name] = Stage(name, parent)
        elif found:
            found[next(reversed(found))].instructions.append(Instruction(word, rest))
    return found


def images() -> Mapping[str, Stage]:
    """Return the stages that are somebody's image, each with what it has from the stages below it."""
    known = stages()
    return {name: _whole(stage, known) for name, stage in known.items() if stage.of("ENTRYPOINT")}


def _whole(stage: Stage, known: Mapping[str, Stage]) -> Stage:
    below = known.get(stage.parent)
    inherited = _whole(below, known).instructions if below else []
    return Stage(stage.name, stage.parent, [*inherited, *stage.instructions])


def _copied(rest: str) -> Iterator[Copied]:
    words = rest.split()
    stage = next((word.partition("=")[2] for word in words if word.startswith("--from=")), CONTEXT)
    *sources, _ = (word for word in words if not word.startswith("--"))
    yield from (Copied(stage, source) for source in sources if not source.startswith("<<"))


def _instructions(text: str) -> Iterator[Instruction]:
    lines = iter(text.splitlines())
    for line in lines:
        whole = line.strip()
        if not whole or whole.startswith("#"):
            continue
        while whole.endswith("\\"):
            whole = whole.removesuffix("\\").rstrip() + " " + next(lines).strip()
        if here := re.search(r"<<'?(\w+)'?", whole):
            for each in lines:
                if each == here[1]:
                    break
        word, _, rest = whole.partition(" ")
        yield Instruction(word.upper(), rest.strip())
