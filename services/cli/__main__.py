"""Run, watch and mend what turns the answers of market-data providers into topics, tables and an HTTP API.

It talks to the stack that runs in this folder, unless the environment, the .env file or an option names another.

Exit codes: 0 done, 1 failed or something is wrong, 2 wrong use or settings, 3 something is away, 4 the run that was asked
for still goes on.
"""

import asyncio
import io
import os
import sys
from typing import Annotated, Literal

import typer

from libs.contracts.topics import TOPICS
from libs.devstack.state import clean
from libs.process.settings import read_settings
from libs.telemetry.logging import configure_logging
from services.cli import alerts, dead_letters, health, lag, migrations, replay, runs
from services.cli.addresses import kafka_connection
from services.cli.failing import explained
from services.cli.parts import choose, listed
from services.cli.printing import print_json
from services.cli.screen import Screen
from services.cli.settings import LARGEST_PORT, ROOT, AddressSettings, StateSettings, UpSettings
from services.cli.status.command import status
from services.cli.tour import Command, Tour
from services.cli.watch.command import watch

app = typer.Typer(
    name="kasparro", cls=Tour, no_args_is_help=True, rich_markup_mode=None, pretty_exceptions_enable=False, help=__doc__
)
app.add_typer(migrations.app, name="migrate")
app.add_typer(dead_letters.app, name="dead-letters")
app.add_typer(alerts.app, name="alerts")
app.command("run", cls=Command)(runs.run)
app.command("lag", cls=Command)(lag.lag)
app.command("replay", cls=Command)(replay.replay)
app.command("health", cls=Command)(health.health)
app.command("status", cls=Command)(status)
app.command("watch", cls=Command)(watch)

AsJson = Annotated[bool, typer.Option("--json", help="Print JSON for scripts.")]
DryRun = Annotated[bool, typer.Option("--dry-run", help="Print what would be done, and do nothing.")]


@app.callback()
def from_the_clone() -> None:
    """Every command reads the .env, and what it names, beside the code, wherever it is called from; so do the services."""
    os.chdir(ROOT)


@app.command(cls=Command)
def up(
    only: Annotated[
        list[str] | None, typer.Option(help="Start these alone: a source, producers, normalizer, query, servers. Repeatable.")
    ] = None,
    producers: Annotated[bool, typer.Option(help="Start the producers.")] = True,
    normalizer: Annotated[bool, typer.Option(help="Start the normalizer.")] = True,
    query: Annotated[bool, typer.Option(help="Start the HTTP API.")] = True,
    sandbox: Annotated[
        Literal["auto", "always", "never"] | None, typer.Option(help="Whether made-up providers stand in (SANDBOX).")
    ] = None,
    port: Annotated[int | None, typer.Option(help="Port of the HTTP API (PORT).", min=1, max=LARGEST_PORT)] = None,
    kafka_port: Annotated[
        int | None, typer.Option(help="Port of the embedded broker (KASPARRO_KAFKA_PORT).", min=1, max=LARGEST_PORT)
    ] = None,
    postgres_port: Annotated[
        int | None, typer.Option(help="Port of the embedded database (KASPARRO_POSTGRES_PORT).", min=1, max=LARGEST_PORT)
    ] = None,
    verbose: Annotated[bool, typer.Option("--verbose", "-v", help="Show every line of the services' logs.")] = False,
    reload: Annotated[bool, typer.Option("--reload", help="Start a service again when its code is saved.")] = False,
    dry_run: DryRun = False,
) -> None:
    """Run everything on this machine until Ctrl-C: Kafka, Postgres, topics, tables, producers, normalizer, HTTP API.

    Kafka and Postgres are embedded unless KAFKA_BOOTSTRAP_SERVERS and DATABASE_URL name others.

    Examples: `kasparro up`; `kasparro up --no-producers --port 8001`; `kasparro up --only servers --kafka-port 9092`;
    `SANDBOX=always kasparro up`.
    """
    screen = Screen()
    settings = read_settings(UpSettings)
    given = {"sandbox": sandbox, "port": port, "kasparro_kafka_port": kafka_port, "kasparro_postgres_port": postgres_port}
    settings = settings.model_copy(update={name: value for name, value in given.items() if value is not None})
    with explained(screen):
        parts = choose(
            only=only or [], producers=producers, normalizer=normalizer, query=query, extra_sources=settings.extra_sources
        )
        if dry_run:
            servers = [
                f"Kafka {settings.kafka_bootstrap_servers or 'embedded'}",
                f"Postgres {'as named' if settings.database_url else 'embedded'}",
            ]
            screen.say(f"Would start: {listed([*servers, *parts.services])}; state in {settings.state}")
            return
        from services.cli.up import Wish, run_up  # late: an image that only migrates has no broker to start

        run_up(Wish(settings, parts, verbose, reload), screen)


@app.command(cls=Command)
def topics(
    replication_factor: Annotated[int, typer.Option(help="Copies that the brokers keep of each partition.", min=1)] = 1,
    as_json: AsJson = False,
    dry_run: DryRun = False,
) -> None:
    """Create the topics that are missing, as declared, and say what differs about the others. Safe to repeat.

    Example: `KAFKA_BOOTSTRAP_SERVERS=broker:9092 kasparro topics --replication-factor 3`
    """
    from libs.kafka.admin import ensure_topics  # late: no other command waits for the driver

    screen = Screen()
    with explained(screen):
        connection = kafka_connection(read_settings(AddressSettings), "kasparro-topics")
        report = asyncio.run(ensure_topics(connection, TOPICS, replication_factor=replication_factor, dry_run=dry_run))
        if as_json:
            print_json(report)
            return
        for name in report.created:
            screen.say(f"{'would create' if dry_run else 'created'}  {name}")
        for name in report.existing:
            screen.say(f"exists   {name}")
        for difference in report.differences:
            screen.warn(difference.explanation)


@app.command("clean-state", cls=Command)
def clean_state(dry_run: DryRun = False) -> None:
    """Empty the state folder: the embedded servers' data, real and made up, and the logs. Refused while it is in use.

    Examples: `kasparro clean-state --dry-run`; `kasparro clean-state`
    """
    screen = Screen()
    with explained(screen):
        root = read_settings(StateSettings).state
        if dry_run:
            screen.say(f"Would empty {root}")
            return
        clean(root)
        screen.say(f"Emptied {root}")


def main() -> None:
    """Run the command line."""
    configure_logging("WARNING", "kasparro", style="console")
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):  # what a terminal's encoding has no sign for is spelt out, and no traceback
            stream.reconfigure(errors="backslashreplace")
    sys.exit(app())


if __name__ == "__main__":
    main()
