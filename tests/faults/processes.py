"""The services as processes: started plainly or under a wrapper, killed, stopped, and their logs kept."""

import asyncio
import signal
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal

from libs.devstack.children import Child, Nursery

ROOT = Path(__file__).parents[2]
STOP_SECONDS = 30.0
LOOK_SECONDS = 0.05
LAST_LINES = 25

Kind = Literal["coingecko", "coinpaprika", "csv", "normalizer", "query", "sandbox"]
MODULES: Mapping[Kind, str] = {
    "coingecko": "services.producers.coingecko",
    "coinpaprika": "services.producers.coinpaprika",
    "csv": "services.producers.csv",
    "normalizer": "services.normalizer",
    "query": "services.query",
    "sandbox": "services.sandbox",
}
Name = tuple[Kind, int]
"""Which service, and which of its replicas."""


@dataclass(frozen=True, slots=True)
class Release:
    """A tree of the code, with an environment of its own unless it is this one."""

    tree: Path = ROOT

    def command(self, *words: str) -> list[str]:
        """Return how to run Python with this code; PYTHONPATH has to name the tree too."""
        return [sys.executable if self.tree == ROOT else str(self.tree / ".venv" / "bin" / "python"), *words]


THIS = Release()


@dataclass(slots=True)
class Processes:
    """Every service process of the suite. One name has at most one process at a time; its log goes on in one file."""

    nursery: Nursery
    logs: Path
    environment: Mapping[str, str]
    running: dict[Name, Child] = field(default_factory=dict)
    of_one: dict[Name, Mapping[str, str]] = field(default_factory=dict)
    """What only one replica has in its environment."""
    releases: dict[Kind, Release] = field(default_factory=dict)
    """Whose code a service is started with; this one's where nothing stands."""
    _log_began: dict[Name, int] = field(default_factory=dict)

    def start(
        self, kind: Kind, number: int = 1, *, wrapper: Sequence[str] = (), environment: Mapping[str, str] | None = None
    ) -> Child:
        """Start a replica; `wrapper` is a module of ours with its arguments that runs the service in its own process."""
        assert not self.is_running(kind, number), f"{kind} {number} runs already"
        release = self.releases.get(kind, THIS)
        command = release.command("-m", *wrapper, MODULES[kind])
        self._log_began[kind, number] = self._log_size(kind, number)
        child = self.nursery.start(
            f"{kind}-{number}",
            command,
            log=self.log_of(kind, number),
            environment={
                **self.environment,
                **self.of_one.get((kind, number), {}),
                **(environment or {}),
                "PYTHONPATH": str(release.tree),
            },
            folder=self.logs,
        )
        self.running[kind, number] = child
        return child

    def is_running(self, kind: Kind, number: int = 1) -> bool:
        child = self.running.get((kind, number))
        return child is not None and child.is_running

    def numbers(self, kind: Kind) -> list[int]:
        """The replicas of a service that run now."""
        return sorted(number for of, number in self.running if of == kind and self.is_running(of, number))

    def kill(self, kind: Kind, number: int = 1) -> None:
        """SIGKILL, and wait for the end."""
        child = self.running.pop((kind, number))
        assert not child.reap(), f"{child.name} had ended by itself:\n{child.last_words()}"
        self.nursery.forget(child)

    async def terminate(self, kind: Kind, number: int = 1) -> None:
        """SIGTERM, and wait for the orderly end that must follow."""
        await self._until_it_speaks(kind, number)
        child = self.running.pop((kind, number))
        child.ask_to_stop()
        try:
            async with asyncio.timeout(STOP_SECONDS):
                await child.until_ended()
        except TimeoutError:
            child.reap()
            raise AssertionError(f"{child.name} did not stop within {STOP_SECONDS:g} s of SIGTERM") from None
        self.nursery.forget(child)
        code = child.process.returncode
        assert code == 0, f"{child.name} ended with {code} after SIGTERM:\n{child.last_words()}"

    async def until_dead(self, kind: Kind, number: int, seconds: float) -> None:
        """Wait for the SIGKILL that a doomed process gives itself."""
        child = self.running[kind, number]
        try:
            async with asyncio.timeout(seconds):
                await child.until_ended()
        except TimeoutError:
            raise AssertionError(f"{child.name} did not reach its point in {seconds:g} s:\n{self.last_lines()}") from None
        del self.running[kind, number]
        self.nursery.forget(child)
        code = child.process.returncode
        assert code == -signal.SIGKILL, f"{child.name} ended with {code}, not by its own SIGKILL:\n{child.last_words()}"

    async def _until_it_speaks(self, kind: Kind, number: int) -> None:
        """A process that still imports knows nothing of signals: SIGTERM ends it as it ends any other program."""
        began = self._log_began[kind, number]
        async with asyncio.timeout(STOP_SECONDS):
            while self.is_running(kind, number) and self._log_size(kind, number) == began:  # noqa: ASYNC110 - a plain file
                await asyncio.sleep(LOOK_SECONDS)

    def _log_size(self, kind: Kind, number: int) -> int:
        log = self.log_of(kind, number)
        return log.stat().st_size if log.exists() else 0

    def crashed(self) -> list[str]:
        """Those that ended though nobody ended them."""
        ended = [child for child in self.running.values() if not child.is_running]
        return [f"{child.name} ended with {child.process.returncode}:\n{child.last_words()}" for child in ended]

    def log_of(self, kind: Kind, number: int = 1) -> Path:
        return self.logs / f"{kind}-{number}.log"

    def last_lines(self) -> str:
        """What each log ends with, for whoever reads why a check failed."""
        parts = []
        for path in sorted(self.logs.glob("*.log")):
            lines = path.read_text(errors="replace").splitlines()[-LAST_LINES:]
            parts.append(f"--- {path}\n" + "\n".join(line[:400] for line in lines))
        return "\n".join(parts)
