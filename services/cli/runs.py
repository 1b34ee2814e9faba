"""`kasparro run`: ask for a run of a source and wait for what came of it."""

import asyncio
from http import HTTPStatus
from typing import Annotated, Any

import aiohttp
import msgspec
import typer

from libs.process.settings import read_settings
from services.cli.addresses import api_of
from services.cli.failing import AWAY, FAILED, explained
from services.cli.printing import print_json
from services.cli.screen import Screen
from services.cli.settings import AddressSettings

ANSWER_SECONDS = 300.0
CONNECT_SECONDS = 5.0
COUNTS = ("fetched", "unchanged", "published", "stored", "duplicate", "dead_lettered")
UNAVAILABLE = frozenset({HTTPStatus.SERVICE_UNAVAILABLE, HTTPStatus.GATEWAY_TIMEOUT})


def run(
    source: Annotated[str, typer.Argument(help="A source, or `all`.")],
    timeout: Annotated[int, typer.Option(help="Seconds to wait for the end of the run.", min=1, max=240)] = 60,
    as_json: Annotated[bool, typer.Option("--json", help="Print the API's answer.")] = False,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Print the request, and do not send it.")] = False,
) -> None:
    """Poll a source now, through the HTTP API, and show what came of it. Fails when the run failed.

    Examples: `kasparro run coingecko`; `kasparro run all --json`
    """
    screen = Screen()
    with explained(screen):
        settings = read_settings(AddressSettings)
        path = "/etl/run-all" if source == "all" else f"/etl/run/{source}"
        url = f"{api_of(settings)}{path}?timeout={timeout}"
        if dry_run:
            screen.say(f"Would POST {url}")
            return
        token = settings.api_token.get_secret_value() if settings.api_token else None
        status, body = _answer(url, token, screen)
        if as_json:
            print_json(body)
        else:
            _show(body, screen)
        if status >= HTTPStatus.BAD_REQUEST:
            raise typer.Exit(AWAY if status in UNAVAILABLE else FAILED)


def _answer(url: str, token: str | None, screen: Screen) -> tuple[int, Any]:
    try:
        return asyncio.run(_post(url, token))
    except (aiohttp.ClientError, OSError, TimeoutError) as error:
        screen.fail(f"the HTTP API does not answer at {url}: {error!r}")
        raise typer.Exit(AWAY) from error


async def _post(url: str, token: str | None) -> tuple[int, Any]:
    headers = {"Authorization": f"Bearer {token}"} if token else {}
    timeout = aiohttp.ClientTimeout(total=ANSWER_SECONDS, sock_connect=CONNECT_SECONDS)
    async with aiohttp.ClientSession(timeout=timeout) as session, session.post(url, headers=headers) as answer:
        return answer.status, msgspec.json.decode(await answer.read())


def _show(body: Any, screen: Screen) -> None:
    runs = body.get("runs", [body]) if isinstance(body, dict) else []
    for each in runs:
        found = each.get("run", each)
        if "counts" not in found:
            screen.fail(f"{found.get('code', 'error')}: {found.get('detail', found)}")
            continue
        counts = ", ".join(f"{found['counts'][name]} {name.replace('_', '-')}" for name in COUNTS)
        because = f" ({found['error']})" if found.get("error") else ""
        screen.say(
            f"{found['source']}: {found['status']}{because}; {counts}; {found.get('duration_ms')} ms; run {found['run_id']}"
        )
