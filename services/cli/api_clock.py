"""What time it is where the data come from: an age by a clock that is wrong is wrong, or negative. Pure but for the clock."""

from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Final

from libs.process.clock import Clock

SAME_CLOCK: Final = timedelta(seconds=2)
"""What a Date's whole seconds and an answer's way explain; beyond that one of the clocks is wrong."""


@dataclass(slots=True)
class ApiClock:
    """This machine's clock while it agrees with the API's, which tells the finer time; else the API's."""

    clock: Clock
    _heard: tuple[datetime, float] | None = None
    """The last Date that was another time than ours, and when it came."""

    def hear(self, date: datetime | None) -> None:
        """Take what time an answer says that it is; None: it does not say."""
        if date is None:
            return
        self._heard = (date, self.clock.monotonic()) if abs(date - self.clock.utc()) > SAME_CLOCK else None

    def utc(self) -> datetime:
        """Return the time."""
        if self._heard is None:
            return self.clock.utc()
        date, came_at = self._heard
        return date + timedelta(seconds=self.clock.monotonic() - came_at)
