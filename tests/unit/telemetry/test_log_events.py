"""Every line that we log: a constant name that can be searched for, fields beside it, nothing of a row, and a row in the docs."""

import ast
import re
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

import pytest

ROOT = Path(__file__).parents[3]
LEVELS = {"debug", "info", "warning", "error", "exception", "critical"}
EVENT = re.compile(r"[a-z]+(_[a-z]+)*")
ROWS_AND_SECRETS = {
    "payload",
    "body",
    "value",
    "row",
    "record",
    "message",
    "headers",
    "key",
    "token",
    "password",
    "secret",
    "url",
}
SHOWN_AT_DEBUG = {"detail"}
"""What a Rejection says quotes the field that is wrong."""


class Line(NamedTuple):
    where: str
    level: str
    call: ast.Call

    @property
    def event(self) -> str:
        (event,) = self.call.args
        return event.value if isinstance(event, ast.Constant) and isinstance(event.value, str) else ""


def logger_names(tree: ast.Module) -> set[str]:
    """The names that a module calls its structlog loggers by."""
    found = set()
    for node in ast.walk(tree):
        if isinstance(node, ast.Assign) and isinstance(node.value, ast.Call) and "get_logger" in ast.unparse(node.value.func):
            found |= {ast.unparse(target) for target in node.targets}
    return found | {"structlog.get_logger"}


def lines_in(source: str, where: str) -> Iterator[Line]:
    tree = ast.parse(source)
    names = logger_names(tree)
    for node in ast.walk(tree):
        if not (isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute) and node.func.attr in LEVELS):
            continue
        logger = node.func.value
        called = ast.unparse(logger.func if isinstance(logger, ast.Call) else logger)
        if called in names or re.fullmatch(r"(\w+_)?log", called):  # one that was handed on
            level = "error" if node.func.attr == "exception" else node.func.attr
            yield Line(f"{where}:{node.lineno}", level, node)


def modules() -> list[Path]:
    return sorted(path for folder in ("libs", "services") for path in (ROOT / folder).rglob("*.py"))


def all_lines() -> list[Line]:
    return [line for path in modules() for line in lines_in(path.read_text(), str(path.relative_to(ROOT)))]


def faults(line: Line) -> list[str]:
    """What is wrong with a line."""
    found = []
    if len(line.call.args) != 1 or not EVENT.fullmatch(line.event):
        found.append("the event is no snake_case constant")
    if any(isinstance(node, ast.JoinedStr) for node in ast.walk(line.call)):
        found.append("an f-string hides a field")
    named = {keyword.arg for keyword in line.call.keywords}
    if wrong := named & (ROWS_AND_SECRETS | (set() if line.level == "debug" else SHOWN_AT_DEBUG)):
        found.append(f"shows {', '.join(map(str, wrong))}")
    return found


def test_every_line_has_a_constant_event_and_fields_and_no_row() -> None:
    wrong = [f"{line.where}: {fault}" for line in all_lines() for fault in faults(line)]
    assert wrong == []
    assert len(all_lines()) > 60, "it looks at nothing"


@pytest.mark.parametrize(
    "call",
    [
        'log.info(f"{count} stored")',
        "log.info(event)",
        'log.info("Chunk stored")',
        'log.info("chunk_stored", payload=row)',
        'log.info("chunk_stored", detail=rejection.detail)',
        'log.info("chunk_stored", place=f"{topic}:{partition}")',
        'log.info("chunk stored: %s", 1)',
    ],
)
def test_a_wrong_line_is_found(call: str) -> None:
    (line,) = lines_in(f"log = structlog.get_logger(__name__)\n{call}\n", "here")
    assert faults(line)


def test_nothing_of_ours_goes_through_the_standard_library_s_logging_or_prints() -> None:
    allowed = {"libs/telemetry/logging.py"}
    wrong = [path for path in modules() if re.search(r"logging\.getLogger|^import logging$", path.read_text(), re.MULTILINE)]
    assert [str(path.relative_to(ROOT)) for path in wrong if str(path.relative_to(ROOT)) not in allowed] == []


def documented() -> set[tuple[str, str]]:
    rows = re.findall(r"^\| `([a-z_]+)` \| (\w+) \|", (ROOT / "docs" / "logging.md").read_text(), re.MULTILINE)
    assert len(rows) == len(set(rows)), "an event has two rows"
    return set(rows)


def test_every_event_has_its_row_in_the_docs_with_its_level_and_no_row_is_of_no_event() -> None:
    assert documented() == {(line.event, line.level) for line in all_lines()}
