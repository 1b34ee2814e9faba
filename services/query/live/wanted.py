"""What a client of the stream wants of the assets."""

from dataclasses import dataclass

UNRANKED = 2**31
"""The rank of an asset that has none: behind every other."""


@dataclass(frozen=True, slots=True)
class Wanted:
    """All that is given must hold. None: any."""

    uids: frozenset[str] | None = None
    source: str | None = None
    """Of the listing whose values the asset has."""
    top: int | None = None
    """The largest market-cap rank."""

    def fits(self, source: str, rank: int) -> bool:
        """Whether an asset in such a state is wanted, as far as `uids` does not decide it."""
        return (self.source is None or source == self.source) and (self.top is None or rank <= self.top)


EVERYTHING = Wanted()
