"""`kasparro alerts test`: whether what operators would be told arrives."""

import asyncio
import socket

import typer

from libs.process.clock import SystemClock
from libs.process.settings import WebhookSettings, read_settings
from services.cli.errors import ApiAwayError, CommandError, UseError
from services.cli.failing import explained
from services.cli.screen import Screen
from services.cli.tour import Command

app = typer.Typer(no_args_is_help=True, rich_markup_mode=None, help="Tell operators of incidents.")


@app.callback()
def alerts() -> None:
    """Tell operators of incidents: the query service does; this looks whether its words arrive."""


@app.command("test", cls=Command, short_help="send a test message to SLACK_WEBHOOK_URL")
def send_test() -> None:
    """Send a test message to SLACK_WEBHOOK_URL, once. Fails with 1 when it is refused, with 3 when nobody answers.

    Example: `SLACK_WEBHOOK_URL=https://hooks.slack.com/services/… kasparro alerts test`
    """
    from libs.alerting.slack import test_message  # late: no other command waits for the client
    from libs.alerting.webhook import Delivery, Outcome, open_webhook

    async def send() -> Delivery:
        async with open_webhook(url, SystemClock()) as webhook:
            return await webhook.send(test_message(socket.gethostname()))

    screen = Screen()
    with explained(screen):
        given = read_settings(WebhookSettings).slack_webhook_url
        if given is None:
            raise UseError("SLACK_WEBHOOK_URL is not set: nobody is told of incidents")
        url = given
        delivery = asyncio.run(send())
        if delivery.outcome is Outcome.REFUSED:
            raise CommandError(f"The webhook refused the message: {delivery.why}")
        if delivery.outcome is Outcome.LATER:
            raise ApiAwayError(f"The message did not arrive: {delivery.why}")
        screen.say("The webhook took the message")
