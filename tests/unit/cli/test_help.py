"""The help is a tour: every command has its place on the first page, and examples that can be typed."""

import re
import shlex
from collections.abc import Iterator
from typing import Any

import pytest
import typer.main
from typer.core import TyperGroup
from typer.testing import CliRunner

from services.cli.__main__ import app
from services.cli.tour import ROOMS, TOUR

ROOT = typer.main.get_command(app)
ASSIGNMENT = re.compile(r"[A-Z_]+=\S+")
BEHIND = {"|", ">", "||"}


def commands(group: Any = ROOT, *above: str) -> Iterator[tuple[tuple[str, ...], Any]]:
    for name, command in group.commands.items():
        below = (*above, name)
        if not isinstance(command, TyperGroup) or command.invoke_without_command:
            yield below, command
        if isinstance(command, TyperGroup):
            yield from commands(command, *below)


EVERY = dict(commands())
each_command = pytest.mark.parametrize("names", EVERY, ids=" ".join)


def help_of(*names: str) -> str:
    shown = CliRunner().invoke(app, [*names, "--help"], env={"COLUMNS": "80", "TERMINAL_WIDTH": "80"})
    assert shown.exit_code == 0
    return shown.stdout


def examples_of(*names: str) -> list[str]:
    _, _, behind = help_of(*names).partition("Examples:\n")
    return [line.strip() for line in behind.partition("\n\n")[0].splitlines()]


def check(example: str) -> tuple[str, ...]:
    """Parse what is typed, as far as the command is ours; return which one it is. Raises what typing it would end with."""
    words = [word for word in shlex.split(example) if not ASSIGNMENT.fullmatch(word)]
    words = words[words.index("kasparro") + 1 :]
    end = next((place for place, word in enumerate(words) if word in BEHIND), len(words))
    command, names = ROOT, list[str]()
    words = words[:end]
    while isinstance(command, TyperGroup) and words and words[0] in command.commands:
        command = command.commands[words[0]]
        names.append(words.pop(0))
    assert names, example
    command.make_context(names[-1], words)
    return tuple(names)


def test_every_command_stands_once_on_the_first_page_uncut() -> None:
    shown = help_of()
    told = [name for commands in ROOMS.values() for name in commands]
    assert sorted(told) == sorted(ROOT.commands)  # type: ignore[attr-defined] # it is a group
    assert len(told) == len(set(told))
    for commands in ROOMS.values():
        for name, words in commands.items():
            assert re.search(rf"^  {name} +{re.escape(words)}$", shown, re.MULTILINE), name
    assert all(len(line) <= 80 for line in shown.splitlines())


def test_the_tour_can_be_walked() -> None:
    for typed, words in TOUR:
        assert check(typed)
        assert re.search(rf"^  {typed} +{re.escape(words)}$", help_of(), re.MULTILINE), typed


@each_command
def test_each_command_has_examples_and_each_can_be_typed(names: tuple[str, ...]) -> None:
    examples = examples_of(*names)
    assert examples
    assert {check(example) for example in examples} == {names}
    assert "Examples:" in help_of(*names)
    assert "Example: " not in help_of(*names)


@pytest.mark.parametrize("group", ["dead-letters", "alerts", "migrate"])
def test_what_is_below_a_command_is_told_uncut(group: str) -> None:
    _, _, listed = help_of(group).partition("Commands:\n")
    assert listed
    assert "..." not in listed
