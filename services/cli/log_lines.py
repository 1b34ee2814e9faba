"""The services' logs as they grow: what is worth a line on the terminal."""

import asyncio
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import msgspec

from services.cli.screen import Screen

LOOK_SECONDS = 0.25
MOST_BYTES = 65_536
"""Shown of one log at a look; a flood stays in the file."""

QUIET_LEVELS = frozenset({"debug", "info"})
QUIET_LIBRARIES = ("aiokafka",)
"""They report as an error what they then retry; what comes of it, our own lines say."""

LEFT_OUT = frozenset({"event", "level", "timestamp", "logger", "service"})


@dataclass(slots=True)
class LogTail:
    """What of one log has been shown."""

    service: str
    path: Path
    position: int = 0
    partial: bytes = field(default=b"")

    @classmethod
    def from_now(cls, service: str, path: Path) -> "LogTail":
        """Skip what is there: earlier runs' lines are not news."""
        return cls(service, path, path.stat().st_size if path.exists() else 0)

    def new_lines(self) -> list[bytes]:
        """Return the whole lines written since the last look."""
        if not self.path.exists():
            return []
        with self.path.open("rb") as file:
            file.seek(self.position)
            content = file.read(MOST_BYTES)
        self.position += len(content)
        *lines, self.partial = (self.partial + content).split(b"\n")
        return lines


async def show(tails: list[LogTail], screen: Screen, *, everything: bool) -> None:
    """Print what is worth it until cancelled."""
    while True:
        for tail in tails:
            for line in tail.new_lines():
                if shown := rendered(line, everything=everything):
                    screen.log_line(tail.service, shown)
        await asyncio.sleep(LOOK_SECONDS)


def rendered(line: bytes, *, everything: bool) -> str | None:
    """Return a log line for people, or None for one that is not worth it. What is not JSON is a traceback or a last word."""
    try:
        record = msgspec.json.decode(line)
    except msgspec.DecodeError:
        return line.decode(errors="replace").rstrip() or None
    if not isinstance(record, dict):
        return line.decode(errors="replace")
    if not everything and _is_routine(record):
        return None
    return _sentence(record)


def _is_routine(record: Mapping[str, Any]) -> bool:
    if record.get("up") is True:
        return True  # that something came up is news to a log alone
    return record.get("level") in QUIET_LEVELS or str(record.get("logger", "")).startswith(QUIET_LIBRARIES)


def _sentence(record: Mapping[str, Any]) -> str:
    fields = " ".join(f"{name}={value}" for name, value in record.items() if name not in LEFT_OUT)
    return f"{record.get('level', '')!s:8} {record.get('event', '')} {fields}".rstrip()


def readable(lines: str) -> str:
    """Return the lines of a log for people, none left out."""
    return "\n".join(shown for line in lines.splitlines() if (shown := rendered(line.encode(), everything=True)))
