"""For how long things are kept, and for how long what was forgotten may come again."""

from dataclasses import dataclass
from datetime import timedelta
from typing import Final

from libs.contracts.topics import DEAD_LETTERS, SEGMENT_LASTS, SOURCE_TOPICS

TOLD_FOR: Final = timedelta(days=60)
"""Twice as long as etl.runs and etl.gaps keep what these tables are made of, so that a replay brings nothing back."""
LETTERS_FOR: Final = (DEAD_LETTERS.kept or TOLD_FOR) + 2 * SEGMENT_LASTS
"""As long as their topic has them: a letter that is gone cannot be re-driven."""
TOPICS_KEEP: Final = max(topics.raw.kept or timedelta(0) for topics in SOURCE_TOPICS.values()) + SEGMENT_LASTS
"""As long as a raw topic can bring a tick again."""
COMES_AGAIN: Final = LETTERS_FOR + TOPICS_KEEP
"""So long after it was fetched a tick comes again at the latest: as a dead letter that is sent back, and then in a replay."""


@dataclass(frozen=True, slots=True)
class Keeping:
    """What is kept for how long, None for ever: raw rows by the time they were fetched, ticks and candles by event time."""

    raw: timedelta | None = None
    ticks: timedelta = timedelta(days=90)
    candles: timedelta | None = None
