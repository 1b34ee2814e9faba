from datetime import UTC, datetime, timedelta

import pytest

from libs.process.clock import SystemClock
from services.cli.api_clock import ApiClock

AT = datetime(2026, 1, 2, 3, 4, 5, 600_000, tzinfo=UTC)


class MovedClock(SystemClock):
    """Its wall time may be set while its monotonic time goes on."""

    def __init__(self) -> None:
        self.wall, self.seconds = AT, 100.0

    def utc(self) -> datetime:
        return self.wall

    def monotonic(self) -> float:
        return self.seconds


@pytest.mark.parametrize("ahead", [timedelta(hours=-3), timedelta(seconds=-5), timedelta(seconds=5), timedelta(days=40)])
def test_where_the_clocks_differ_it_is_the_apis_time_that_goes_on(ahead: timedelta) -> None:
    ours = MovedClock()
    clock = ApiClock(ours)
    clock.hear(AT + ahead)
    ours.seconds += 90
    ours.wall = AT - timedelta(days=1)  # ours is set: it is not asked any more
    assert clock.utc() == AT + ahead + timedelta(seconds=90)
    ours.wall = AT + ahead + timedelta(seconds=90.5)
    clock.hear(AT + ahead + timedelta(seconds=90))
    assert clock.utc() == ours.wall, "it is right by now, and the finer one"


def test_whole_seconds_and_a_date_that_is_not_told_change_nothing() -> None:
    clock = ApiClock(MovedClock())
    for date in (None, AT.replace(microsecond=0), AT - timedelta(seconds=1.6)):
        clock.hear(date)
        assert clock.utc() == AT
