"""`kasparro run`: ask for a run of a source and wait for what came of it."""

from collections.abc import Iterator, Mapping
from http import HTTPStatus
from typing import Annotated, Any

import typer

from libs.contracts.topics import SOURCE_TOPICS
from libs.process.settings import read_settings
from services.cli.addresses import api_of
from services.cli.errors import UnknownPartError
from services.cli.failing import AWAY, BAD_USE, FAILED, STILL_GOING, explained
from services.cli.http_api import UNAVAILABLE, ApiAnswer, ask_api
from services.cli.printing import print_json
from services.cli.screen import Screen
from services.cli.settings import AddressSettings

COUNTS = ("fetched", "unchanged", "published", "stored", "duplicate", "dead_lettered")


def run(
    source: Annotated[str, typer.Argument(help="A source, or `all`.")],
    timeout: Annotated[int, typer.Option(help="Seconds to wait for the end of the run.", min=1, max=240)] = 60,
    as_json: Annotated[bool, typer.Option("--json", help="Print the API's answer.")] = False,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Print the request, and do not send it.")] = False,
) -> None:
    """Poll a source now, through the HTTP API, and show what came of it. Fails when the run failed; 4 when it still goes on.

    Examples: `kasparro run coingecko`; `kasparro run all --json`
    """
    screen = Screen()
    with explained(screen):
        settings = read_settings(AddressSettings)
        api = api_of(settings)
        url = f"{api}{_path(source)}?timeout={timeout}"
        if dry_run:
            screen.say(f"Would POST {url}")
            return
        answer = ask_api("POST", url, token=settings.api_token.get_secret_value() if settings.api_token else None)
        if as_json:
            print_json(answer.body)
        else:
            _show(answer, api, screen)
        if code := _exit_code(answer.status):
            raise typer.Exit(code)


def _path(source: str) -> str:
    if source == "all":
        return "/etl/run-all"
    if source not in SOURCE_TOPICS:
        raise UnknownPartError(f"there is no source {source!r}; there are: {', '.join([*SOURCE_TOPICS, 'all'])}")
    return f"/etl/run/{source}"


def _exit_code(status: int) -> int:
    if status < HTTPStatus.BAD_REQUEST:
        return STILL_GOING if status == HTTPStatus.ACCEPTED else 0
    if status < HTTPStatus.INTERNAL_SERVER_ERROR:
        return BAD_USE
    return AWAY if status in UNAVAILABLE else FAILED


def _show(answer: ApiAnswer, api: str, screen: Screen) -> None:
    for each in _runs_in(answer.body):
        screen.say(_sentence(each))
    if answer.status >= HTTPStatus.BAD_REQUEST:
        screen.fail(f"{answer.body.get('code', answer.status)}: {answer.body.get('detail', answer.body)}")
    elif answer.status == HTTPStatus.ACCEPTED:
        screen.warn(f"still going; follow it at {api}{answer.location}")


def _runs_in(body: Mapping[str, Any]) -> Iterator[Mapping[str, Any]]:
    """The answer is a run, or has one, or one for each source."""
    for each in body.get("runs", [body]):
        found = each.get("run", each)
        if "counts" in found:
            yield found


def _sentence(run: Mapping[str, Any]) -> str:
    """What nobody has taken yet, or what has not ended, has no counts and no duration worth a word."""
    parts = [f"{run['source']}: {run['status']}" + (f" ({run['error']})" if run.get("error") else "")]
    if run.get("duration_ms") is not None:
        parts.append(", ".join(f"{run['counts'][name]} {name.replace('_', '-')}" for name in COUNTS))
        parts.append(f"{run['duration_ms']} ms")
    return "; ".join([*parts, f"run {run['run_id']}"])
