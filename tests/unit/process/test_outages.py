from collections.abc import Awaitable, Callable
from datetime import UTC, datetime, timedelta

import pytest

from libs.process.outages import wait_out


class MovedClock:
    """A clock that sleeping moves."""

    def __init__(self) -> None:
        self.seconds = 0.0
        self.waits: list[float] = []

    def utc(self) -> datetime:
        return datetime(2026, 1, 1, tzinfo=UTC) + timedelta(seconds=self.seconds)

    def monotonic(self) -> float:
        return self.seconds

    async def sleep(self, seconds: float) -> None:
        self.waits.append(seconds)
        self.seconds += seconds


def failing(times: int, error: Exception) -> Callable[[], Awaitable[str]]:
    tries = iter(range(times))

    async def attempt() -> str:
        if next(tries, None) is not None:
            raise error
        return "done"

    return attempt


def is_outage(error: BaseException) -> bool:
    return isinstance(error, OSError)


async def test_an_outage_is_tried_again_with_growing_waits_up_to_the_ceiling() -> None:
    clock = MovedClock()
    attempt = failing(30, OSError("away"))
    result = await wait_out(attempt, is_outage, dependency="postgres", clock=clock, ceiling=timedelta(seconds=4))
    assert result == "done"
    assert len(clock.waits) == 30
    assert max(clock.waits) <= 4
    assert clock.waits[0] <= 0.1
    assert min(clock.waits[-10:]) >= 2


async def test_anything_else_leaves_at_once() -> None:
    clock = MovedClock()
    attempt = failing(1, ZeroDivisionError("a bug"))
    with pytest.raises(ZeroDivisionError):
        await wait_out(attempt, is_outage, dependency="postgres", clock=clock, ceiling=timedelta(seconds=4))
    assert clock.waits == []
