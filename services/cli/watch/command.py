"""`kasparro watch`: prices as they change, on a terminal or as lines."""

from typing import Annotated, Final

import typer

from libs.domain.identity import asset_uid_of
from libs.domain.rejections import Rejection
from libs.process.settings import read_settings
from libs.sources.catalogue import SOURCES
from services.cli.addresses import api_of
from services.cli.errors import UseError
from services.cli.failing import explained
from services.cli.screen import Screen
from services.cli.settings import AddressSettings
from services.cli.watch.assets import MOST_ROWS, Wish
from services.cli.watch.running import run_until_signal
from services.cli.watch.watching import Manner, watch_api

USUAL_ROWS: Final = 25


def watch(
    uids: Annotated[
        list[str] | None, typer.Argument(metavar="UID", help="Assets by symbol, such as btc eth; none: the top.")
    ] = None,
    top: Annotated[
        int,
        typer.Option(
            help="How many, by market-cap rank; as many of them as fit are shown. With --source, a pipe gets all of it.",
            min=1,
            max=MOST_ROWS,
        ),
    ] = USUAL_ROWS,
    source: Annotated[str | None, typer.Option(help="Only assets whose values come from this source.")] = None,
    api: Annotated[str | None, typer.Option("--api", metavar="URL", help="Where the HTTP API is (KASPARRO_API_URL).")] = None,
    once: Annotated[bool, typer.Option("--once", help="Show one picture, and end.")] = False,
    as_json: Annotated[
        bool, typer.Option("--json", help="Print a line of JSON for each change; with --once, one document.")
    ] = False,
) -> None:
    """Watch prices as they change, until Ctrl-C: the canonical assets, by the HTTP API's stream, or by polling without one.

    On a terminal it is one picture; in a pipe, a line for each change. What was cut is taken up where it ended. A session is
    what was seen since the start. Needs no token. Ends with 130 by Ctrl-C, with 0 when nobody reads its lines any more, with 3
    when the API is not there at the start; with --once, 1 when an asset that was named is not there.

    Examples: `kasparro watch`; `kasparro watch btc eth sol`; `kasparro watch --top 100 --source coingecko`;
    `kasparro watch btc --once`; `kasparro watch btc --json | jq .data.price_usd`
    """
    screen = Screen()
    with explained(screen):
        wish = Wish(_uids(uids or []), top, _source(source))
        base = api_of(read_settings(AddressSettings), api)
        can_redraw = screen.console.is_terminal and not screen.console.is_dumb_terminal
        run_until_signal(watch_api(base, wish, Manner(as_json=as_json, once=once, can_redraw=can_redraw), screen))


def _uids(symbols: list[str]) -> tuple[str, ...]:
    uids: list[str] = []
    for symbol in symbols:
        uid = asset_uid_of(symbol)
        if isinstance(uid, Rejection):
            raise UseError(f"{symbol!r} names no asset: {uid.detail}")
        uids.append(uid)
    return tuple(dict.fromkeys(uids))


def _source(source: str | None) -> str | None:
    if source is not None and source not in SOURCES:
        raise UseError(f"there is no source {source!r}; there are: {', '.join(SOURCES)}")
    return source
