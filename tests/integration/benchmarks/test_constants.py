"""The constants are measured from end to end, small; that the simulation takes what was printed is part of it."""

import asyncio
import sys
from pathlib import Path

import pytest

from benchmarks.simulation.constants import Constants
from tests.conftest import ROOT


@pytest.mark.timeout(600)
async def test_every_constant_of_a_tick_is_measured_and_understood_by_the_simulation(tmp_path: Path) -> None:
    page = tmp_path / "benchmarks.md"
    sizes = ("--ticks", "30000", "--listings", "500", "--polled", "600")
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "benchmarks", "--part", "constants", *sizes, "--report", str(page)),
        cwd=ROOT,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.STDOUT,
    )
    said, _ = await process.communicate()
    assert process.returncode == 0, said.decode()
    measured = Constants.read(page.read_text())
    counted = {name for name in Constants.__dataclass_fields__ if name.endswith(("_bytes_per_tick", "_bytes_per_row"))}
    assert {name for name in counted if f"| {name} | " not in page.read_text()} == set()
    assert all(getattr(measured, name) > 0 for name in counted)
    assert 350 < measured.raw_coingecko_heap_bytes_per_row < 1_000
    assert measured.wal_raw_bytes_per_tick > measured.raw_coingecko_heap_bytes_per_row
    assert (tmp_path / "benchmarks-constants.svg").read_text().startswith("<svg")
