"""`kasparro watch --once`: the assets now, as a table or as a document."""

from collections.abc import Sequence
from decimal import Decimal
from typing import Final

import msgspec
import typer

from libs.process.clock import SystemClock
from services.cli.amounts import UNKNOWN, change, magnitude, span, spread
from services.cli.failing import FAILED
from services.cli.http_api import Api
from services.cli.printing import print_json
from services.cli.screen import Screen
from services.cli.tables import Cell, Table, Tone
from services.cli.watch.assets import WatchedAsset, Wish
from services.cli.watch.columns import Now
from services.cli.watch.polling import Polls, Seen

COLUMNS: Final = (
    *("asset", "name", "price USD", "1 h", "24 h", "7 d", "market cap", "volume 24 h", "age", "spread", "source", "warnings"),
)
NUMBERS: Final = frozenset(COLUMNS[2:10])


async def show_once(api: Api, wish: Wish, screen: Screen, *, sandbox: bool, as_json: bool) -> None:
    """Show what there is now. Ends with 1 when an asset that was named is not there."""
    polls, clock = Polls(api, wish), SystemClock()
    seen = await polls.look()
    now = Now(api.clock.utc(), clock.monotonic())
    if as_json:
        data = [msgspec.Raw(each.content) for each in seen]
        print_json({"api": api.base, "at": now.utc, "sandbox": sandbox, "data": data, "attribution": polls.attribution})
    else:
        _show(screen, seen, polls, now, sandbox=sandbox)
    there = {each.asset.asset_uid for each in seen}
    if missing := [uid for uid in wish.uids if uid not in there]:
        screen.fail(f"there is no asset {', '.join(missing)}" + (f" of {wish.source}" if wish.source else ""))
        raise typer.Exit(FAILED)


def _show(screen: Screen, seen: Sequence[Seen], polls: Polls, now: Now, *, sandbox: bool) -> None:
    if sandbox:
        screen.mark_sandbox()
    title = f"{len(seen)} assets at {polls.api.base}, {now.utc:%Y-%m-%d %H:%M:%S} UTC"
    screen.draw(Table(title, COLUMNS, [_row(each.asset, now) for each in seen], numbers=NUMBERS))
    for each in polls.attribution:
        screen.say(f"{each.text} {each.url}")


def _row(asset: WatchedAsset, now: Now) -> Sequence[Cell]:
    age = span((now.utc - asset.source_updated_at).total_seconds())
    changes = (asset.percent_change_1h, asset.percent_change_24h, asset.percent_change_7d)
    return (
        Cell(asset.asset_uid, Tone.TITLE),
        Cell(asset.name),
        Cell(UNKNOWN if asset.price_usd is None else str(asset.price_usd).lower()),
        *(_change(each) for each in changes),
        Cell(magnitude(asset.market_cap_usd)),
        Cell(magnitude(asset.volume_24h_usd)),
        Cell(age, Tone.QUIET),
        Cell(spread(asset.price_spread_percent), Tone.QUIET),
        Cell(asset.taken.source, Tone.QUIET),
        Cell(" ".join(asset.warnings), Tone.NOTE),
    )


def _change(percent: Decimal | None) -> Cell:
    if not percent:
        return Cell(change(percent), Tone.QUIET)
    return Cell(change(percent), Tone.RISE if percent > 0 else Tone.FALL)
