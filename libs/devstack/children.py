"""Child processes that never outlive us, however we end."""

import asyncio
import os
import signal
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import Self

from libs.devstack.errors import ChildDiedError

HERE = Path(__file__).parent
PYTHON = (sys.executable, "-I", "-S")
LAST_LINES = 8
RUN_SECONDS = 120.0
LOOK_SECONDS = 0.05


@dataclass(frozen=True, slots=True)
class Child:
    """One running process, the leader of its own session. `polite` is the signal that asks it to stop."""

    name: str
    process: "subprocess.Popen[bytes]"
    log: Path
    polite: signal.Signals

    @property
    def is_running(self) -> bool:
        """Whether it has not ended yet."""
        return self.process.poll() is None

    def last_words(self) -> str:
        """The end of its log, without the frames of Java's stack traces."""
        with suppress(OSError):
            lines = self.log.read_text(errors="replace").splitlines()
            return "\n".join([line for line in lines if not line.startswith("\tat ")][-LAST_LINES:])
        return ""

    def check(self) -> None:
        """Raise if it has ended."""
        if (code := self.process.poll()) is not None:
            raise ChildDiedError(f"{self.name} ended with exit code {code}. Its log is {self.log}:\n{self.last_words()}")

    def signal(self, number: int) -> None:
        """Signal the whole session; one that has gone is no error."""
        if self.is_running:
            with suppress(ProcessLookupError, PermissionError):
                os.killpg(self.process.pid, number)

    def ask_to_stop(self) -> None:
        """Send the polite signal to the process itself."""
        with suppress(ProcessLookupError):
            self.process.send_signal(self.polite)

    async def until_ended(self) -> None:
        """Wait for its end, however it comes."""
        while self.is_running:  # noqa: ASYNC110 - the end of a plain child is no event of the loop
            await asyncio.sleep(LOOK_SECONDS)

    def reap(self) -> bool:
        """Kill what is left of it. Returns whether nothing was."""
        went = not self.is_running
        self.signal(signal.SIGKILL)
        self.process.wait()
        return went


class Nursery:
    """Starts children, and a guard that ends them and deletes temporary folders if we are killed before we can.

    Use it from the main thread: the kernel's death signal is tied to the thread that starts a child.
    """

    def __init__(self, *, held: Sequence[int] = ()) -> None:
        """`held` are descriptors that stay open until the last child has ended, such as a lock's."""
        self._held = held

    def __enter__(self) -> Self:
        self._guard = subprocess.Popen(
            [*PYTHON, HERE / "guard.py"],
            stdin=subprocess.PIPE,
            stdout=subprocess.DEVNULL,
            start_new_session=True,
            pass_fds=self._held,
        )
        self._children: list[Child] = []
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        for child in reversed(self._children):
            child.reap()
            self._tell(f"done {child.process.pid}")
        if self._guard.stdin:
            with suppress(BrokenPipeError):
                self._guard.stdin.close()
        self._guard.wait()

    def start(
        self,
        name: str,
        command: Sequence[str | Path],
        *,
        log: Path,
        environment: Mapping[str, str] | None = None,
        folder: Path | None = None,
        user: str | None = None,
        polite: signal.Signals = signal.SIGTERM,
        stdin: str = os.devnull,
    ) -> Child:
        """Start a process whose output goes to the end of `log`. `user` applies when we are root only."""
        log.parent.mkdir(parents=True, exist_ok=True)
        with log.open("ab") as output, Path(stdin).open("rb") as given:
            process = subprocess.Popen(
                as_orphan_of_ours(command, user=user, polite=polite),
                stdin=given,
                stdout=output,
                stderr=subprocess.STDOUT,
                env=dict(environment) if environment is not None else None,
                cwd=folder,
                start_new_session=True,
            )
        child = Child(name, process, log, polite)
        self._children.append(child)
        self._tell(f"pid {process.pid}")
        return child

    async def run(
        self, name: str, command: Sequence[str | Path], *, log: Path, user: str | None = None, stdin: str = os.devnull
    ) -> None:
        """Run a program to its end; ChildDiedError when it fails."""
        child = self.start(name, command, log=log, user=user, stdin=stdin)
        try:
            async with asyncio.timeout(RUN_SECONDS):
                await child.until_ended()
        finally:
            child.reap()
            self.forget(child)
        if child.process.returncode:
            child.check()

    def forget(self, child: Child) -> None:
        """Take an ended child off the books."""
        self._children.remove(child)
        self._tell(f"done {child.process.pid}")

    @contextmanager
    def temporary_folder(self, prefix: str) -> Iterator[Path]:
        """Yield a folder that is deleted at the end, also when we are killed."""
        with tempfile.TemporaryDirectory(prefix=prefix) as path:
            self._tell(f"folder {path}")
            yield Path(path)

    def _tell(self, line: str) -> None:
        if self._guard.stdin:
            with suppress(BrokenPipeError):
                self._guard.stdin.write(line.encode() + b"\n")
                self._guard.stdin.flush()


def as_orphan_of_ours(
    command: Sequence[str | Path], *, user: str | None = None, polite: signal.Signals = signal.SIGTERM
) -> list[str]:
    """Return the command that runs `command`, signalled when this process ends."""
    account = user if user and os.geteuid() == 0 else "-"
    launch = [*PYTHON, str(HERE / "launch.py"), str(os.getpid()), str(int(polite)), account]
    return [*launch, *map(str, command)]
