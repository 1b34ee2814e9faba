"""The columns of `kasparro watch`, of fixed widths so that nothing moves when a number changes, and which of them fit."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal
from typing import Final, NamedTuple

from services.cli.amounts import change, magnitude, price, span, sparkline, spread
from services.cli.watch.assets import WatchedAsset
from services.cli.watch.board import Row

GAP: Final = 2

PLAIN, QUIET, UP, DOWN, NOTE = "", "dim", "green", "red", "yellow"
FLASH_UP, FLASH_DOWN = "bold black on green", "bold white on red"


class Now(NamedTuple):
    """The time, for ages and for what fades."""

    utc: datetime
    monotonic: float


class Shown(NamedTuple):
    """What stands in a cell, and rich's style of it."""

    text: str
    style: str = PLAIN


@dataclass(frozen=True, slots=True)
class Column:
    """One column. Those with the lowest `rank` are kept where there is not room for all."""

    title: str
    width: int
    rank: int
    cell: Callable[[Row, WatchedAsset, Now], Shown]
    right: bool = True


def _price(row: Row, asset: WatchedAsset, now: Now) -> Shown:
    style = PLAIN
    if row.flashes(now.monotonic):
        style = FLASH_UP if row.direction > 0 else FLASH_DOWN
    return Shown(price(asset.price_usd), style)


def _arrow(row: Row, _asset: WatchedAsset, _now: Now) -> Shown:
    return (Shown(""), Shown("▲", UP), Shown("▼", DOWN))[row.direction]


def _change(percent: Decimal | None) -> Shown:
    if percent is None or not percent:
        return Shown(change(percent), QUIET)
    return Shown(change(percent), UP if percent > 0 else DOWN)


def _session(row: Row, _asset: WatchedAsset, _now: Now) -> Shown:
    return Shown(sparkline(list(row.prices), SESSION_WIDTH), "cyan")


def _mark(_row: Row, asset: WatchedAsset, _now: Now) -> Shown:
    return Shown("!" if asset.warnings else "", NOTE)


def _warnings(_row: Row, asset: WatchedAsset, _now: Now) -> Shown:
    return Shown(" ".join(asset.warnings), NOTE)


def _age(_row: Row, asset: WatchedAsset, now: Now) -> Shown:
    return Shown(span((now.utc - asset.source_updated_at).total_seconds()), QUIET)


SESSION_WIDTH: Final = 12
COLUMNS: Final = (
    Column("", 1, 1, _mark),
    Column("asset", 10, 0, lambda row, _asset, _now: Shown(row.asset_uid, "bold"), right=False),
    Column("name", 16, 11, lambda _row, asset, _now: Shown(asset.name), right=False),
    Column("price USD", 14, 0, _price),
    Column("", 1, 1, _arrow),
    Column("1 h", 9, 5, lambda _row, asset, _now: _change(asset.percent_change_1h)),
    Column("24 h", 9, 2, lambda _row, asset, _now: _change(asset.percent_change_24h)),
    Column("7 d", 9, 10, lambda _row, asset, _now: _change(asset.percent_change_7d)),
    Column("session", SESSION_WIDTH, 4, _session, right=False),
    Column("market cap", 10, 3, lambda _row, asset, _now: Shown(magnitude(asset.market_cap_usd))),
    Column("volume 24 h", 11, 7, lambda _row, asset, _now: Shown(magnitude(asset.volume_24h_usd))),
    Column("age", 6, 6, _age),
    Column("spread", 8, 9, lambda _row, asset, _now: Shown(spread(asset.price_spread_percent), QUIET)),
    Column("source", 11, 8, lambda _row, asset, _now: Shown(asset.taken.source, QUIET), right=False),
    Column("warnings", 22, 12, _warnings, right=False),
)


def that_fit(width: int) -> Sequence[Column]:
    """Return the columns for a terminal of so many cells; the asset and its price are always among them."""
    kept: set[Column] = set()
    left = width + GAP
    for column in sorted(COLUMNS, key=lambda each: each.rank):
        left -= column.width + GAP
        if left < 0 and column.rank:
            break
        kept.add(column)
    return [column for column in COLUMNS if column in kept]
