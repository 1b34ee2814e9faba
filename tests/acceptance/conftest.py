"""`kasparro up` as its users meet it: a process with a terminal's signals and a state folder of its own."""

import asyncio
import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import aiohttp
import psutil
import pytest

from libs.devstack.broker import Jars, train
from libs.devstack.children import Nursery
from libs.devstack.ports import free_port
from tests.conftest import one_session_at_a_time

ROOT = Path(__file__).parents[2]
START_SECONDS = 90.0
STOP_SECONDS = 60.0
LOOK_SECONDS = 0.1
BANNER = "Ctrl-C stops it"


@dataclass(slots=True)
class Up:
    """One `kasparro up`, and what it left behind."""

    process: "subprocess.Popen[bytes]"
    output: Path
    state: Path
    port: int

    @property
    def said(self) -> str:
        return self.output.read_text()

    @property
    def family(self) -> list[psutil.Process]:
        """Everything that belongs to it: its state folder is on every command line or in the environment."""
        return [each for each in psutil.process_iter() if _mentions(each, str(self.state))]

    def wait_until(self, condition: Callable[[], bool], seconds: float, what: str) -> None:
        deadline = time.monotonic() + seconds
        while not condition():
            assert time.monotonic() < deadline, f"{what} did not happen in {seconds} s; it said:\n{self.said}"
            time.sleep(LOOK_SECONDS)

    def wait_for_banner(self) -> None:
        self.wait_until(lambda: BANNER in self.said or self.process.poll() is not None, START_SECONDS, "the banner")
        assert BANNER in self.said, self.said

    def wait_for_end(self, seconds: float = STOP_SECONDS) -> int:
        self.wait_until(lambda: self.process.poll() is not None, seconds, "the end")
        return self.process.returncode

    def stop(self, number: signal.Signals = signal.SIGTERM) -> int:
        self.process.send_signal(number)
        return self.wait_for_end()

    def get(self, path: str) -> Any:
        return asyncio.run(self._get(path))

    async def _get(self, path: str) -> Any:
        url = f"http://127.0.0.1:{self.port}{path}"
        async with aiohttp.ClientSession() as session, session.get(url) as answer:
            return json.loads(await answer.read())


def _mentions(process: psutil.Process, text: str) -> bool:
    try:
        return any(text in word for word in process.cmdline()) or text in process.environ().get("KASPARRO_STATE", "")
    except (psutil.Error, OSError):
        return False


StartUp = Callable[..., Up]


@pytest.fixture(scope="session")
def trained_jars(nursery: Nursery, kafka_jars: Jars) -> Jars:
    """Train the broker's Java once, or each `kasparro up` would try to while its test runs."""
    with one_session_at_a_time():
        if not kafka_jars.cache.exists():
            with nursery.temporary_folder("kasparro-training-") as folder:
                asyncio.run(train(nursery, kafka_jars, folder))
    return kafka_jars


@contextmanager
def starting_up(folder: Path) -> Iterator[StartUp]:
    """Start `kasparro up` with the sandbox and an empty state folder; ended, whatever happens, with all that it started."""
    started: list[Up] = []

    def start(*options: str, state: Path = folder / "state", port: int | None = None, **environment: str) -> Up:
        chosen = port or free_port()
        output = folder / f"up-{len(started)}.txt"
        ours = {"KASPARRO_STATE": str(state), "SANDBOX": "always", "PORT": str(chosen)}
        for name in ("KAFKA_BOOTSTRAP_SERVERS", "DATABASE_URL"):
            ours[name] = ""
        with output.open("wb") as file:
            process = subprocess.Popen(
                [sys.executable, "-m", "services.cli", "up", *options],
                cwd=ROOT,
                env={**os.environ, **ours, **environment},
                stdin=subprocess.DEVNULL,
                stdout=file,
                stderr=subprocess.STDOUT,
            )
        up = Up(process, output, state, chosen)
        started.append(up)
        return up

    try:
        yield start
    finally:
        for up in started:
            up.process.kill()
            up.process.wait()
            up.wait_until(lambda up=up: not up.family, STOP_SECONDS, "the end of what it started")  # type: ignore[misc] # bound early


@pytest.fixture
def start_up(nursery: Nursery, trained_jars: Jars, tmp_path: Path) -> Iterator[StartUp]:
    """Start `kasparro up`, as often as a test likes."""
    with starting_up(tmp_path) as start:
        yield start
