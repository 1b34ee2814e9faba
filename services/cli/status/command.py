"""`kasparro status`: the whole pipeline in one picture, and an exit code that says whether somebody has to look at it."""

import asyncio
from typing import Annotated

import typer

from libs.process.clock import SystemClock
from libs.process.settings import read_settings
from services.cli.addresses import api_of
from services.cli.amounts import span
from services.cli.failing import FAILED, explained
from services.cli.http_api import open_api
from services.cli.printing import print_json
from services.cli.screen import Screen
from services.cli.settings import AddressSettings
from services.cli.status.answers import Found
from services.cli.status.asking import look
from services.cli.status.judging import worth_a_look, wrong_in
from services.cli.status.sections import tables_of
from services.cli.tables import Tone

ApiUrl = Annotated[str | None, typer.Option("--api", metavar="URL", help="Where the HTTP API is (KASPARRO_API_URL).")]


def status(
    api: ApiUrl = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print one JSON document for scripts.")] = False,
) -> None:
    """Show how everything is, from the HTTP API: health, sources, lag, runs, dead letters, gaps, anomalies, incidents.

    Exit code 0: all is well. 1: something is wrong, and the first lines say what. 3: the API does not answer. What only
    wants a look, such as dead letters that wait, changes no exit code. Needs no token.

    Examples: `kasparro status`; `kasparro status --api http://127.0.0.1:8000`; `kasparro status --json | jq .wrong`;
    `watch kasparro status`
    """
    screen = Screen()
    with explained(screen):
        base = api_of(read_settings(AddressSettings), api)
        found = asyncio.run(_look(base))
        wrong, notes = wrong_in(found), worth_a_look(found)
        if as_json:
            sandbox = found.health.sandbox
            print_json(found.document(api=base, sandbox=sandbox, well=not wrong, wrong=wrong, notes=notes))
        else:
            _show(screen, base, found, wrong, notes)
        if wrong:
            raise typer.Exit(FAILED)


async def _look(base: str) -> Found:
    async with open_api(base) as api:
        return await look(api, SystemClock())


def _show(screen: Screen, base: str, found: Found, wrong: list[str], notes: list[str]) -> None:
    health = found.health
    screen.say(f"Kasparro {health.version} at {base}, up for {span(health.uptime_seconds)}; {found.at:%Y-%m-%d %H:%M:%S} UTC")
    if health.sandbox:
        screen.mark_sandbox()
    for words in wrong:
        screen.judge("wrong", words, Tone.WRONG)
    for words in notes:
        screen.judge("note", words, Tone.NOTE)
    if not wrong:
        screen.judge("ok", "nothing is wrong" if notes else "all is well", Tone.GOOD)
    tables = list(tables_of(found))
    for table in tables:
        if table.rows:
            screen.say("")
            screen.draw(table)
    if empty := [table.title for table in tables if not table.rows]:
        screen.say("")
        screen.judge("none", "; ".join(empty), Tone.QUIET)
