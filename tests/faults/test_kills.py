"""Services that end at any moment, and at the named points between one commit and the next."""

from collections.abc import Iterable

import pytest

from tests.faults.conftest import Stage
from tests.faults.doomed import NORMALIZER_POINTS, PRODUCER_POINTS, QUERY_POINTS
from tests.faults.processes import Kind

KINDS: tuple[Kind, ...] = ("coingecko", "coinpaprika", "normalizer", "query")
POINTS: tuple[tuple[Kind, Iterable[str]], ...] = (
    ("normalizer", NORMALIZER_POINTS.keys() - {"after-dead-letters"}),
    ("coingecko", PRODUCER_POINTS),
    ("coinpaprika", PRODUCER_POINTS),
    ("query", QUERY_POINTS),
)
"""By the service that dies there."""
pytestmark = pytest.mark.timeout(1800)


@pytest.mark.parametrize("signal", ["SIGKILL", "SIGTERM"])
async def test_services_that_end_at_a_random_moment(stage: Stage, signal: str) -> None:
    for _ in range(stage.rounds):
        async with stage.fault():
            for kind in stage.random.sample(KINDS, k=len(KINDS)):
                await stage.a_while()
                await stage.end(kind, signal)
                await stage.a_while(0, 1)
                stage.pipeline.start_missing()
            await stage.a_while()


async def test_everything_killed_at_once(stage: Stage) -> None:
    for _ in range(stage.rounds):
        async with stage.fault():
            await stage.a_while()
            for kind in stage.random.sample(KINDS, k=len(KINDS)):
                await stage.end(kind, "SIGKILL")
            await stage.a_while(0, 2)
            stage.pipeline.start_missing()
            await stage.a_while()


@pytest.mark.parametrize(("kind", "points"), POINTS, ids=[kind for kind, _ in POINTS])
async def test_a_service_that_dies_at_each_named_point(stage: Stage, kind: Kind, points: Iterable[str]) -> None:
    for _ in range(stage.rounds):
        async with stage.fault():
            for point in stage.random.sample(sorted(points), k=len(list(points))):
                await stage.dies_at(kind, point, nth=nth_call(stage, kind, point))


async def test_a_normalizer_that_dies_after_dead_letters(stage: Stage) -> None:
    for _ in range(stage.rounds):
        async with stage.fault():
            await stage.pipeline.provider.order({"kind": "poison", "count": 40})
            await stage.dies_at("normalizer", "after-dead-letters", nth=nth_call(stage, "normalizer", "after-dead-letters"))


def nth_call(stage: Stage, kind: Kind, point: str) -> int:
    """Return at which call of the point's function to die."""
    if "run-ends" in point:
        return 1
    if kind == "query":
        return stage.random.choice((1, 3, 5))  # the command, and then its announcement
    return stage.random.randint(1, 9 if kind == "normalizer" else 4)
