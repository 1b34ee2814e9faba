"""`kasparro health`: what the running API says of itself."""

from http import HTTPStatus

import typer

from libs.process.settings import read_settings
from services.cli.addresses import api_of
from services.cli.failing import AWAY, explained
from services.cli.http_api import ask_api
from services.cli.printing import print_json
from services.cli.screen import Screen
from services.cli.settings import AddressSettings


def health() -> None:
    """Print what the HTTP API says of itself and of what it needs, as JSON. Fails with 3 when it does not answer.

    Example: `kasparro health`
    """
    with explained(Screen()):
        answer = ask_api("GET", f"{api_of(read_settings(AddressSettings))}/health")
        print_json(answer.body)
        if answer.status != HTTPStatus.OK:
            raise typer.Exit(AWAY)
