"""Which of the media types that we have a caller would rather take."""

from collections.abc import Iterator, Sequence
from typing import Final

EVERYTHING: Final = 1.0
MOST_RANGES: Final = 50
"""Of one header: a browser names eight."""


def preferred(accept: str, offered: Sequence[str]) -> str:
    """Return the offered type that an Accept header gives the most weight (RFC 9110), the first of several.

    The first that is offered when none is acceptable: who asks for pictures gets JSON rather than an error.
    """
    ranges = list(_ranges(accept))
    return max(offered, key=lambda media: _weight(media, ranges), default=offered[0]) if ranges else offered[0]


def _ranges(accept: str) -> Iterator[tuple[str, float]]:
    for one in accept.split(",")[:MOST_RANGES]:
        media, *parameters = (part.strip().lower() for part in one.split(";"))
        if media:
            yield media, next((_quality(each[2:]) for each in parameters if each.startswith("q=")), EVERYTHING)


def _quality(text: str) -> float:
    try:
        weight = float(text)
    except ValueError:
        return 0.0
    return weight if 0 <= weight <= EVERYTHING else 0.0


def _weight(media: str, ranges: Sequence[tuple[str, float]]) -> float:
    """Take the most exact range that a type is in."""
    for wanted in (media, f"{media.partition('/')[0]}/*", "*/*"):
        for named, weight in ranges:
            if named == wanted:
                return weight
    return 0.0
