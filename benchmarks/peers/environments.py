"""An environment for each peer whose packages we do not have: made once, anew when its list has changed."""

import asyncio
import sys
from pathlib import Path
from shutil import rmtree, which

ROOT = Path(__file__).parents[2]
MADE = ROOT / ".tools" / "peers"
UV = which("uv") or ROOT / ".tools" / "uv" / "bin" / "uv"
PYTHONS = {"bytewax_sink": ">=3.11,<3.13"}
"""Which Python a peer asks for, where ours will not do: Bytewax 0.21.1, its last, has no wheel for 3.13 or later."""


def requirements(peer: str) -> Path:
    """Return the list of a peer's packages; a peer without one runs in our own environment."""
    return Path(__file__).parent / f"{peer}.txt"


async def python_of(peer: str) -> str:
    """Return the interpreter that runs a peer, with its packages installed."""
    wanted = requirements(peer)
    if not wanted.exists():
        return sys.executable
    folder, stamp = MADE / peer, MADE / peer / "installed.txt"
    python = str(folder / "bin" / "python")
    if not stamp.exists() or stamp.read_text() != wanted.read_text():
        rmtree(folder, ignore_errors=True)
        await _run(UV, "venv", "--quiet", "--python", PYTHONS.get(peer, sys.executable), folder)
        await _run(UV, "pip", "install", "--quiet", "--python", python, "--requirement", wanted)
        stamp.write_text(wanted.read_text())
    return python


async def _run(*command: str | Path) -> None:
    process = await asyncio.create_subprocess_exec(*command)
    if await process.wait():
        raise SystemExit(f"error: `{' '.join(map(str, command))}` failed; its words are above")
