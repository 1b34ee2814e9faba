"""What the public is told of a dependency."""

import asyncio
from datetime import UTC, datetime

from services.query.dependencies import Dependency, Seen


class StoppedClock:
    """Sleeps until it is cancelled, so that a watch looks once."""

    def utc(self) -> datetime:
        return datetime(2026, 7, 1, tzinfo=UTC)

    def monotonic(self) -> float:
        return 0.0

    async def sleep(self, seconds: float) -> None:  # noqa: ARG002 a clock's shape
        await asyncio.Event().wait()


async def test_an_error_that_nobody_expected_is_named_and_not_quoted() -> None:
    async def ping() -> None:
        raise ValueError("invalid literal for int() with base 10: 'hunter2'")

    dependency = Dependency("postgres", ping, StoppedClock())
    watching = asyncio.create_task(dependency.watch())
    seen = await dependency.seen()
    watching.cancel()
    assert seen == Seen(up=False, since=StoppedClock().utc(), error="it cannot be asked (ValueError); the log says more")
