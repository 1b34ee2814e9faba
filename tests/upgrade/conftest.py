"""From another release to this one and back: `make test-upgrade FROM=v0.1.0`, or any commit. `make test` has none."""

import os
import subprocess
from collections.abc import AsyncIterator, Iterator, Mapping
from pathlib import Path

import pytest

from libs.devstack.broker import Jars
from libs.devstack.children import Nursery
from tests.faults.conftest import Stage, staged
from tests.faults.invariants import Invariant, every_tick_is_in_the_history
from tests.faults.operator import kasparro
from tests.faults.pipeline import Pipeline
from tests.faults.processes import ROOT, Release
from tests.faults.report import Report

PROMISED_SINCE: Mapping[Invariant, str] = {every_tick_is_in_the_history: "migrations/0015.create-history.sql"}
"""What is not asked where a release without this file takes part: it is kept by those that have it."""
FROM = os.environ.get("KASPARRO_UPGRADE_FROM")
SEED = 1
collect_ignore = [] if FROM else ["test_upgrade.py"]


@pytest.fixture(scope="session")
def other(nursery: Nursery) -> Iterator[Release]:
    """The other release, as its own commit and locks make it."""
    with nursery.temporary_folder("kasparro-release-") as folder:
        packed = subprocess.run(["git", "archive", str(FROM)], cwd=ROOT, check=True, capture_output=True).stdout
        subprocess.run(["tar", "-x"], cwd=folder, input=packed, check=True)
        subprocess.run(["make", ".venv/installed"], cwd=folder, check=True)
        yield Release(folder)


@pytest.fixture
async def stage(other: Release, nursery: Nursery, kafka_jars: Jars, tmp_path: Path) -> AsyncIterator[Stage]:
    """A pipeline of the other release at work."""

    async def of_the_other(pipeline: Pipeline) -> None:
        await prepared(pipeline, other)

    report = Report(SEED, 1, None)
    report.begin(f"upgrade from {FROM}")
    async with staged("upgrade", nursery, kafka_jars, tmp_path, report, release=other, prepare=of_the_other) as stage:
        missing = (invariant for invariant, file in PROMISED_SINCE.items() if not (other.tree / file).exists())
        stage.audit.not_promised = frozenset(missing)
        yield stage


async def prepared(pipeline: Pipeline, release: Release) -> None:
    """Topics and tables, by the release's own command."""
    for command in ("topics", "migrate"):
        ended = await kasparro(pipeline, command, release=release)
        assert ended.code == 0, ended.output
