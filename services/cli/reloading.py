"""`kasparro up --reload`: a service is started again when its code, or that of the parts which it is made of, is saved."""

import asyncio
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

from services.cli.parts import module_of
from services.cli.screen import Screen
from services.cli.settings import ROOT
from services.cli.supervising import Service

LOOK_SECONDS = 0.5
"""Some 400 files are looked at in some milliseconds; an editor that writes several at once is met by one or two restarts."""

Saved = frozenset[tuple[Path, int]]


def code_of(service: str) -> Sequence[Path]:
    """Return the folders whose files a service is made of."""
    return ROOT / "libs", ROOT / Path(*module_of(service).split("."))


async def reload_when_saved(
    services: Mapping[str, Service], screen: Screen, *, folders_of: Callable[[str], Sequence[Path]] = code_of
) -> None:
    """Ask each service to stop when a file of its own is new, gone or another; whoever keeps it running starts it again."""
    seen: dict[str, Saved] = {}
    while True:
        for name, service in services.items():
            saved = await asyncio.to_thread(_saved, folders_of(name))
            if seen.setdefault(name, saved) != saved:
                changed = sorted({path.name for path, _ in seen[name] ^ saved})
                screen.say(f"{name} is started again: {', '.join(changed[:3])}{' …' if len(changed) > len(changed[:3]) else ''}")
                seen[name] = saved
                service.start_again()
        await asyncio.sleep(LOOK_SECONDS)


def _saved(folders: Sequence[Path]) -> Saved:
    found = set()
    for path in (path for folder in folders for path in folder.rglob("*.py")):
        try:
            found.add((path, path.stat().st_mtime_ns))
        except FileNotFoundError:
            continue  # between the look and the question, an editor put another in its place
    return frozenset(found)
