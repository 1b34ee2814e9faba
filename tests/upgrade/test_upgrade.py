"""Services are exchanged as docs/operations.md says, under load: no tick is lost or doubled, and each run adds up."""

import pytest

from tests.faults.conftest import Stage
from tests.faults.operator import kasparro
from tests.faults.pipeline import POLLED
from tests.faults.processes import THIS, Kind, Release
from tests.upgrade.conftest import prepared

IN_ORDER: tuple[Kind, ...] = ("normalizer", *POLLED, "query")


OPEN_HOURS = "migrations/0018.create-candles-1h-all.sql"


async def exchange(stage: Stage, release: Release) -> None:
    """Stop each service by SIGTERM and start the release's."""
    for kind in IN_ORDER:
        await stage.end(kind, "SIGTERM")
        if kind == "normalizer" and not (release.tree / OPEN_HOURS).exists():
            await make_rows_of_open_hours(stage)
        stage.pipeline.processes.releases[kind] = release
        stage.pipeline.processes.start(kind)
        await stage.pipeline.until_ready()
        await stage.a_while(2, 5)


async def make_rows_of_open_hours(stage: Stage) -> None:
    """As docs/operations.md says, for a release that knows of none: the way down of this migration does it."""
    for words in (("--to", "17"), ()):
        ended = await kasparro(stage.pipeline, "migrate", *words)
        assert ended.code == 0, ended.output


@pytest.mark.timeout(900)
async def test_nothing_is_lost_from_release_to_release_and_back(stage: Stage, other: Release) -> None:
    async with stage.fault():
        await prepared(stage.pipeline, THIS)
        await stage.a_while(8, 12)  # the new topics and tables under the old code
        stage.pipeline.report.step("the other release on this one's topics and tables")
        await exchange(stage, THIS)
    stage.pipeline.report.step("upgraded")
    async with stage.fault():
        await exchange(stage, other)
    stage.pipeline.report.step("and back, on this one's topics and tables")
