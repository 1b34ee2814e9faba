"""`kasparro` as a process beside the service: in a pipe, and on a terminal of its own."""

import asyncio
import fcntl
import os
import pty
import re
import signal
import struct
import sys
import termios
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path

ROOT = Path(__file__).parents[3]
COMMAND = (sys.executable, "-m", "services.cli")
SECONDS = 60.0
CLEAR = "\x1b[H"
_STYLE = re.compile(r"\x1b\[[0-9;]*m")
# A terminal is only ours to be interrupted by when we lead a session that has no other.
_ON_A_TERMINAL = (
    "import fcntl,os,sys,termios; os.setsid(); fcntl.ioctl(0, termios.TIOCSCTTY, 0); os.execv(sys.argv[1], sys.argv[1:])"
)


def environment(**more: str) -> dict[str, str]:
    """What the command knows: no address that this process has, and no token."""
    return {"PATH": os.environ["PATH"], "LANG": "C.UTF-8", "KASPARRO_STATE": "/nonexistent", **more}


@dataclass(frozen=True)
class Ended:
    code: int | None
    out: str
    err: str


async def kasparro(*words: str, **more: str) -> Ended:
    """Run it to its end, in a pipe."""
    child = await asyncio.create_subprocess_exec(
        *COMMAND, *words, cwd=ROOT, env=environment(**more), stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.PIPE
    )
    out, err = await asyncio.wait_for(child.communicate(), SECONDS)
    return Ended(child.returncode, out.decode(errors="replace"), err.decode(errors="replace"))


@asynccontextmanager
async def piped(*words: str, **more: str) -> AsyncIterator[asyncio.subprocess.Process]:
    """Run it with its lines in a pipe; killed at the end if it still runs."""
    child = await asyncio.create_subprocess_exec(
        *COMMAND, *words, cwd=ROOT, env=environment(**more), stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.PIPE
    )
    try:
        yield child
    finally:
        if child.returncode is None:
            child.kill()
        await child.wait()


async def line_of(child: asyncio.subprocess.Process) -> str:
    """Return its next line."""
    assert child.stdout
    return (await asyncio.wait_for(child.stdout.readline(), SECONDS)).decode()


@dataclass
class Terminal:
    """A terminal with the command in it."""

    child: asyncio.subprocess.Process
    descriptor: int
    _sent: bytearray = field(default_factory=bytearray)
    _came: asyncio.Event = field(default_factory=asyncio.Event)

    @property
    def said(self) -> str:
        """All that it was sent."""
        return self._sent.decode(errors="replace")

    @property
    def picture(self) -> str:
        """The last whole picture, without its colours."""
        whole = self.said.split(CLEAR)[1:-1] or [""]
        return _STYLE.sub("", whole[-1]).replace("\r", "")

    async def until_shown(self, *words: str) -> str:
        """Wait for a picture with all of these, and return it."""
        async with asyncio.timeout(SECONDS):
            while not all(each in self.picture for each in words):
                self._came.clear()
                await self._came.wait()
        return self.picture

    async def ended(self) -> int:
        """Wait for the end; return the exit code."""
        return await asyncio.wait_for(self.child.wait(), SECONDS)

    def press_control_c(self) -> None:
        os.write(self.descriptor, b"\x03")

    def resize(self, columns: int, lines: int) -> None:
        fcntl.ioctl(self.descriptor, termios.TIOCSWINSZ, struct.pack("HHHH", lines, columns, 0, 0))

    def read(self) -> None:
        try:
            came = os.read(self.descriptor, 65_536)
        except OSError:  # its other side is closed
            came = b""
        if not came:
            asyncio.get_running_loop().remove_reader(self.descriptor)
        self._sent += came
        self._came.set()


@asynccontextmanager
async def on_a_terminal(*words: str, columns: int = 120, lines: int = 30, **more: str) -> AsyncIterator[Terminal]:
    """Run it on a terminal of this size."""
    ours, theirs = pty.openpty()
    fcntl.ioctl(theirs, termios.TIOCSWINSZ, struct.pack("HHHH", lines, columns, 0, 0))
    child = await asyncio.create_subprocess_exec(
        *(sys.executable, "-c", _ON_A_TERMINAL, *COMMAND, *words),
        cwd=ROOT,
        env=environment(TERM="xterm-256color", **more),
        stdin=theirs,
        stdout=theirs,
        stderr=theirs,
    )
    os.close(theirs)
    terminal = Terminal(child, ours)
    loop = asyncio.get_running_loop()
    loop.add_reader(ours, terminal.read)
    try:
        yield terminal
    finally:
        if child.returncode is None:
            child.send_signal(signal.SIGKILL)
        await child.wait()
        loop.remove_reader(ours)
        os.close(ours)
