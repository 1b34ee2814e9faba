"""The fault suite: `make test-faults` runs all of it, `make test` only test_short_form.py. See docs/faults.md.

FAULTS_ROUNDS (how often each fault), FAULTS_SEED and FAULTS_REPORT (a path) say what the options of make say.
"""

import asyncio
import os
import random
from collections.abc import AsyncIterator, Awaitable, Callable, Generator, Iterator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest

from libs.devstack.broker import Jars
from libs.devstack.children import Nursery
from tests.faults.audit import Audit
from tests.faults.pipeline import Pipeline, started, with_topics_and_tables
from tests.faults.processes import THIS, Kind, Release
from tests.faults.report import Report
from tests.faults.watcher import watching

ROUNDS = int(os.environ.get("FAULTS_ROUNDS") or 0)
SEED = int(os.environ.get("FAULTS_SEED") or random.randrange(10**6))
REPORT = pytest.StashKey[Report]()

HERE = Path(__file__).parent
DEATH_SECONDS = 60.0
"""A doomed process starts, takes its part of the load, and reaches its point within that."""
IN_MAKE_TEST = {"test_short_form.py", "test_invariants.py"}
collect_ignore = [] if ROUNDS else [path.name for path in HERE.glob("test_*.py") if path.name not in IN_MAKE_TEST]


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(item: pytest.Item) -> Generator[None, pytest.TestReport, pytest.TestReport]:
    """Say with a failure how to play it again."""
    told = yield
    if told.failed and "stage" in getattr(item, "fixturenames", ()):
        again = f"make test-faults SEED={SEED} ROUNDS={max(ROUNDS, 1)} ARGS='-k \"{item.name}\"'"
        told.sections.append(("Play it again", again))
    return told


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter, config: pytest.Config) -> None:
    report = config.stash.get(REPORT, None)
    if report is not None:
        terminalreporter.section("faults")
        for line in report.lines():
            terminalreporter.write_line(line)


@pytest.fixture(scope="session")
def report(pytestconfig: pytest.Config) -> Iterator[Report]:
    """The figures of the session."""
    path = os.environ.get("FAULTS_REPORT")
    report = Report(SEED, max(ROUNDS, 1), Path(path) if path else None)
    pytestconfig.stash[REPORT] = report
    report.step(f"seed {SEED}: FAULTS_SEED={SEED} runs the same again")
    yield report
    report.write()


class Stage:
    """Where a scenario is played: a pipeline, a seeded choice, and the check at the end of each round."""

    def __init__(self, pipeline: Pipeline, audit: Audit, random_: random.Random, rounds: int) -> None:
        self.pipeline, self.audit, self.random, self.rounds = pipeline, audit, random_, rounds

    @asynccontextmanager
    async def fault(self, *, pace_seconds: float = 0.8) -> AsyncIterator[None]:
        """Put the pipeline under load during the block, and check every invariant after it."""
        pipeline = self.pipeline
        before = len(pipeline.ledger.ticks)
        async with watching(pipeline.connection, pipeline.servers.database_url) as watcher:
            async with pipeline.under_load(self.random, pace_seconds=pace_seconds):
                yield
            await self.audit.check(watcher.samples)
        assert len(pipeline.ledger.ticks) > before, "nothing was published, so nothing was proved"
        assert watcher.samples, "no committed offset was seen, so nothing was proved about them"

    async def end(self, kind: Kind, signal: str, number: int = 1) -> None:
        """End a replica by a signal, and wait for its end."""
        self.pipeline.report.injected(f"{signal} {kind}")
        if signal == "SIGKILL":
            self.pipeline.processes.kill(kind, number)
        else:
            await self.pipeline.processes.terminate(kind, number)

    async def dies_at(self, kind: Kind, point: str, *, nth: int) -> None:
        """Put a process in the place of the running one that kills itself at the point, and then another in its place."""
        processes = self.pipeline.processes
        await self.a_while()  # one that has only just been started does not know what to do with a SIGTERM yet
        await processes.terminate(kind)
        processes.start(kind, wrapper=("tests.faults.doomed", "--die-at", point, "--nth", str(nth)))
        await processes.until_dead(kind, 1, DEATH_SECONDS)
        self.pipeline.report.injected(f"{kind} dies {point}")
        await self.a_while(0, 1)
        processes.start(kind)
        await self.a_while()

    async def a_while(self, least: float = 0.5, most: float = 3.0) -> None:
        """Let it run for a random moment."""
        await asyncio.sleep(self.random.uniform(least, most))


@asynccontextmanager
async def staged(
    name: str,
    nursery: Nursery,
    jars: Jars,
    logs: Path,
    report: Report,
    *,
    release: Release = THIS,
    prepare: Callable[[Pipeline], Awaitable[None]] = with_topics_and_tables,
) -> AsyncIterator[Stage]:
    """Start a pipeline with everything running and its own part of the seed, and end it."""
    random_ = random.Random(f"{SEED} {name}")
    report.step(f"logs in {logs}")
    with nursery.temporary_folder("kasparro-faults-") as folder:
        seed = random_.randrange(10**6)
        async with started(nursery, jars, folder, logs, report, seed, release=release, prepare=prepare) as pipeline:
            yield Stage(pipeline, Audit(pipeline), random_, report.rounds)
            for server in (pipeline.servers.broker, pipeline.servers.database):
                if server is not None:
                    server.child.reap()


@pytest.fixture
async def stage(
    request: pytest.FixtureRequest, nursery: Nursery, kafka_jars: Jars, tmp_path: Path, report: Report
) -> AsyncIterator[Stage]:
    """A pipeline of the test's own."""
    report.begin(request.node.name)
    async with staged(request.node.name, nursery, kafka_jars, tmp_path, report) as stage:
        yield stage
