"""Outlive the parent for a moment and clear up after it: `python -I -S guard.py`, told what to clear on stdin.

`pid N` adds a process group, `done N` takes it off, `folder PATH` adds a folder to delete. When stdin ends, the parent is
gone, killed perhaps: the groups still there get SIGTERM, after GRACE_SECONDS SIGKILL, and then the folders are deleted.
Standard library only, so that it starts at once and holds nothing.
"""

import os
import shutil
import signal
import sys
import time
from contextlib import suppress
from pathlib import Path

GRACE_SECONDS = 6.0
KILLED_SECONDS = 2.0
LOOK_SECONDS = 0.05


def _started(pid: int) -> str | None:
    """When the kernel started the process: tells it from a later one with the same number."""
    with suppress(OSError):
        stat = Path(f"/proc/{pid}/stat").read_text()
        fields = stat.rpartition(")")[2].split()
        return None if fields[0] == "Z" else fields[19]
    return None


def _signal(pids: dict[int, str | None], number: int) -> None:
    for pid, started in pids.items():
        if _started(pid) == started:
            with suppress(ProcessLookupError, PermissionError):
                os.killpg(pid, number)


def _wait(pids: dict[int, str | None], seconds: float) -> None:
    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline and any(started and _started(pid) == started for pid, started in pids.items()):
        time.sleep(LOOK_SECONDS)


def _end(pids: dict[int, str | None]) -> None:
    _signal(pids, signal.SIGTERM)
    _wait(pids, GRACE_SECONDS)
    _signal(pids, signal.SIGKILL)
    _wait(pids, KILLED_SECONDS)


def main() -> None:
    """Wait for the end of stdin, then clear up."""
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, signal.SIG_IGN)
    pids: dict[int, str | None] = {}
    folders: list[str] = []
    for line in sys.stdin:
        word, _, rest = line.rstrip("\n").partition(" ")
        if word == "pid":
            pids[int(rest)] = _started(int(rest))
        elif word == "done":
            pids.pop(int(rest), None)
        elif word == "folder":
            folders.append(rest)
    _end(pids)
    for folder in folders:
        shutil.rmtree(folder, ignore_errors=True)


if __name__ == "__main__":
    main()
