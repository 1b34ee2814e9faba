"""Our clock against the broker's, as the broker's time of what we have just sent tells it."""

from collections.abc import Iterable
from datetime import UTC, datetime, timedelta
from typing import Final

from libs.kafka.records import Position

CLOCK_ERROR_BELIEVED: Final = timedelta(hours=12)
"""Half of what the normalizer bears with between a producer's clock, the broker's and the provider's: beyond that it would set
the ticks aside, and a listing that does not change would be missing until its answer is published whole again."""


class ClockWrongError(Exception):
    """The two are too far apart for what we say to be believed. `broker_time` is the broker's."""

    def __init__(self, error: timedelta, broker_time: datetime) -> None:
        which = "ahead" if error > timedelta(0) else "behind"
        super().__init__(
            f"this machine's clock and the broker's differ by {abs(error)}, ours is {which}: correct the one that is wrong; "
            "nothing is published meanwhile"
        )
        self.broker_time = broker_time


def check_clock(positions: Iterable[Position], now: datetime) -> None:
    """Raise ClockWrongError if `now` is far from the broker's time of these records; if it gave them none, nothing is known."""
    logged = [position.logged_at_ms for position in positions if position.logged_at_ms >= 0]
    if not logged:
        return
    broker_time = datetime.fromtimestamp(max(logged) / 1000, UTC)
    if abs(now - broker_time) > CLOCK_ERROR_BELIEVED:
        raise ClockWrongError(now - broker_time, broker_time)
