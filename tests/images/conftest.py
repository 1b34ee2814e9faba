"""The compose project itself, built and started: `make test-images`, where a Docker engine is. `make test` has none."""

import json
import os
import subprocess
import time
import urllib.error
import urllib.request
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, NamedTuple
from uuid import uuid4

import pytest

from libs.devstack.ports import free_port

ROOT = Path(__file__).parents[2]
FILES = ("docker-compose.yml", "deploy/compose.sandbox.yml")
collect_ignore = [] if os.environ.get("KASPARRO_TEST_IMAGES") else ["test_project.py", "test_each_image.py"]

PORTS = ("PORT", "KASPARRO_KAFKA_PORT", "KASPARRO_POSTGRES_PORT", "KASPARRO_SANDBOX_PORT")
COMMAND_SECONDS = 1_800.0
"""Building everything, packages fetched, on a machine that is busy."""
ANSWER_SECONDS = 330.0
"""A run that is waited for is answered within five minutes."""
CONDITION_SECONDS = 240.0
LOOK_SECONDS = 0.5


class Answer(NamedTuple):
    """What came back over HTTP."""

    status: int
    body: dict[str, Any]


@dataclass(frozen=True, slots=True)
class Project:
    """A compose project of this session's own: name, ports and volumes."""

    name: str = field(default_factory=lambda: f"kasparro-test-{uuid4().hex[:8]}")
    token: str = field(default_factory=lambda: uuid4().hex)
    ports: dict[str, str] = field(default_factory=lambda: {name: str(free_port()) for name in PORTS})
    """Chosen once: a service whose variables change is started anew."""

    @property
    def environment(self) -> dict[str, str]:
        """A small market that moves at each second, so that each run has news."""
        small = {"SANDBOX_COINGECKO_LISTINGS": "300", "SANDBOX_COINPAPRIKA_LISTINGS": "400", "SANDBOX_STEP_SECONDS": "1"}
        return {**os.environ, **self.ports, **small, "API_TOKEN": self.token, "COINGECKO_REQUESTS_PER_MINUTE": "600"}

    def compose(self, *words: str) -> str:
        """Run docker compose; return what it said. What fails fails the test, with its words."""
        files = [word for file in FILES for word in ("-f", file)]
        return run(["docker", "compose", "-p", self.name, *files, *words], self.environment)

    def containers(self, service: str) -> list[dict[str, Any]]:
        """Return what the engine knows of a service's containers."""
        ids = self.compose("ps", "--all", "--quiet", service).split()
        found: list[dict[str, Any]] = json.loads(run(["docker", "inspect", *ids])) if ids else []
        return found

    def ask(self, method: str, path: str, *, token: str | None = None) -> Answer:
        """Ask the API; an error of HTTP is an answer too."""
        headers = {"Authorization": f"Bearer {token}"} if token else {}
        request = urllib.request.Request(f"http://127.0.0.1:{self.ports['PORT']}{path}", method=method, headers=headers)
        try:
            with urllib.request.urlopen(request, timeout=ANSWER_SECONDS) as answer:  # noqa: S310 - the same
                return Answer(answer.status, json.loads(answer.read()))
        except urllib.error.HTTPError as error:
            return Answer(error.code, json.loads(error.read()))

    def query(self, statement: str) -> str:
        """Ask Postgres."""
        return self.compose("exec", "-T", "postgres", "psql", "-U", "kasparro", "-d", "kasparro", "-Atc", statement).strip()


def run(command: Sequence[str], environment: dict[str, str] | None = None) -> str:
    """Run a command in the clone; return its output."""
    done = subprocess.run(
        command, cwd=ROOT, env=environment, capture_output=True, text=True, timeout=COMMAND_SECONDS, check=False
    )
    assert done.returncode == 0, (
        f"{' '.join(command)} ended with {done.returncode}:\n{done.stdout[-4000:]}\n{done.stderr[-4000:]}"
    )
    return done.stdout


def until(condition: Callable[[], bool], what: str) -> float:
    """Wait for a condition; return how long that took."""
    began = time.monotonic()
    while not condition():
        assert time.monotonic() - began < CONDITION_SECONDS, f"{what} did not come true in {CONDITION_SECONDS:.0f} s"
        time.sleep(LOOK_SECONDS)
    return time.monotonic() - began


@pytest.fixture(scope="session")
def project() -> Iterator[Project]:
    """Built and started from nothing, and nothing is left of it."""
    project = Project()
    try:
        project.compose("--profile", "*", "build")  # those of optional sources too, which `up` leaves out
        project.compose("up", "--detach", "--wait", "--wait-timeout", "600")
        yield project
    finally:
        project.compose("--profile", "operator", "down", "--volumes", "--remove-orphans")
