"""What has been seen of each asset in this session. Pure: it is told the time."""

from collections import deque
from collections.abc import Sequence
from dataclasses import dataclass, field
from decimal import Decimal
from typing import Final

from services.cli.watch.assets import WatchedAsset

MOST_PRICES: Final = 60
"""Of a session's sparkline: the last that were different from the one before."""
FLASH_SECONDS: Final = 0.8


@dataclass(slots=True)
class Row:
    """One asset and its session; `asset` is None for one that was asked for and is not there."""

    asset_uid: str
    asset: WatchedAsset | None = None
    prices: deque[Decimal] = field(default_factory=lambda: deque(maxlen=MOST_PRICES))
    direction: int = 0
    """Of the last move of its price: 1 up, -1 down, 0 none yet."""
    moved_at: float | None = None

    def flashes(self, now: float) -> bool:
        """Whether its price moved a moment ago."""
        return self.moved_at is not None and now - self.moved_at < FLASH_SECONDS

    def take(self, asset: WatchedAsset, now: float) -> None:
        """Take what it is from now on."""
        self.asset = asset
        if asset.price_usd is None:
            return
        before = self.prices[-1] if self.prices else None
        if before == asset.price_usd:
            return
        self.prices.append(asset.price_usd)
        if before is not None:
            self.direction, self.moved_at = (1 if asset.price_usd > before else -1), now


@dataclass(slots=True)
class Board:
    """The rows, by asset_uid. With `uids` it shows those, in their order; else the best ranks."""

    uids: tuple[str, ...] = ()
    changes: int = 0
    skipped: int = 0
    """Changes that the API did not send because this reader was slow; the newest of each asset always comes."""
    _rows: dict[str, Row] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self._rows.update((uid, Row(uid)) for uid in self.uids)

    def take(self, asset: WatchedAsset, now: float) -> None:
        """Take the latest of an asset."""
        self.changes += 1
        self._rows.setdefault(asset.asset_uid, Row(asset.asset_uid)).take(asset, now)

    def remove(self, asset_uid: str) -> None:
        """Take that it is not there, or not one of those that were asked for."""
        if asset_uid in self.uids:
            self._rows[asset_uid] = Row(asset_uid)
        else:
            self._rows.pop(asset_uid, None)

    def forget(self) -> None:
        """Take that nothing is known any more of what there is; what comes again goes on with its session."""
        for row in self._rows.values():
            row.asset = None

    def shown(self, most: int) -> Sequence[Row]:
        """Return the rows for which there is room."""
        if self.uids:
            return [self._rows[uid] for uid in self.uids[:most]]
        return sorted((row for row in self._rows.values() if row.asset), key=_rank)[:most]

    def flashes(self, now: float) -> bool:
        """Whether something will look different in a moment though nothing changes."""
        return any(row.flashes(now) for row in self._rows.values())

    def __len__(self) -> int:
        return len(self._rows)


def _rank(row: Row) -> tuple[bool, int, str]:
    rank = row.asset.market_cap_rank if row.asset else None
    return rank is None, rank or 0, row.asset_uid
