"""`kasparro migrate`: bring the tables to the version that this code needs, or elsewhere."""

from typing import Annotated

import typer

from libs.process.settings import read_settings
from services.cli.addresses import database_of
from services.cli.failing import explained
from services.cli.printing import print_json
from services.cli.screen import Screen
from services.cli.settings import AddressSettings
from services.cli.tour import Command, Group

app = typer.Typer(cls=Group, rich_markup_mode=None)


@app.callback(invoke_without_command=True)
def migrate_database(
    context: typer.Context,
    show_status: Annotated[bool, typer.Option("--status", help="List the migrations and which are applied.")] = False,
    to: Annotated[str | None, typer.Option(help="Go up or down until this one, an id or its number, is the last.")] = None,
    rollback: Annotated[bool, typer.Option("--rollback", help="Undo the last one that is applied.")] = False,
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON for scripts.")] = False,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Print what would be done, and do nothing.")] = False,
) -> None:
    """Apply the migrations that the database lacks. One process at a time: the others wait, and say so.

    Examples: `kasparro migrate`; `kasparro migrate --status`; `kasparro migrate --to 4 --dry-run`; `kasparro migrate --rollback`
    """
    if context.invoked_subcommand:
        return
    from libs.postgres.migrations import migrate, roll_back  # late: no other command waits for the driver

    if sum((show_status, to is not None, rollback)) > 1:
        raise typer.BadParameter("--status, --to and --rollback exclude each other")
    screen = Screen()
    with explained(screen):
        url = database_of(read_settings(AddressSettings))
        if show_status:
            _show_status(url, screen, as_json=as_json)
            return
        steps = (
            roll_back(url, dry_run=dry_run, waiting=screen.warn)
            if rollback
            else migrate(url, to=to, dry_run=dry_run, waiting=screen.warn)
        )
        if as_json:
            print_json(steps)
            return
        for step in steps:
            screen.say(f"{'would ' if dry_run else ''}{step.direction.value}  {step.migration_id}")
        if not steps:
            screen.say("nothing to do")


@app.command("new", cls=Command, short_help="write an empty migration and its rollback")
def new(name: Annotated[str, typer.Argument(help="What it does, such as add-price-index.")]) -> None:
    """Write an empty migration and its rollback, behind the last one (`make migration NAME=…`).

    Example: `kasparro migrate new add-price-index`
    """
    from libs.postgres.migrations import new_migration

    screen = Screen()
    with explained(screen):
        for path in new_migration(name):
            screen.say(f"wrote {path}")


def _show_status(url: str, screen: Screen, *, as_json: bool) -> None:
    from libs.postgres.migrations import status

    found = status(url)
    if as_json:
        print_json(found)
        return
    for each in found:
        screen.say(f"{'applied' if each.applied else 'missing'}  {each.migration_id}")
