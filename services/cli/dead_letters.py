"""`kasparro dead-letters`: look at what could not be applied, send it back, or give it up."""

import asyncio
import re
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Annotated
from uuid import UUID

import typer

from libs.contracts.dead_letters import ERROR_CLASSES
from libs.contracts.topics import SOURCE_TOPICS
from libs.process.clock import SystemClock
from libs.process.settings import read_settings
from libs.recovery.letters import DECLARED, Selection, State
from services.cli.addresses import kafka_connection
from services.cli.errors import CommandError, UseError
from services.cli.failing import FAILED, explained
from services.cli.moments import EXAMPLES, moment_of
from services.cli.screen import Screen
from services.cli.settings import AddressSettings
from services.cli.tour import Command

app = typer.Typer(
    no_args_is_help=True, rich_markup_mode=None, help="Look at what could not be applied, send it back, or give it up."
)

CLIENT = "kasparro-dead-letters"
SAY_AGAIN_SECONDS = 2.0
_WHOLE = re.compile(r"[0-9]{1,18}")

Source = Annotated[str | None, typer.Option(help="Only of this source.")]
ErrorClass = Annotated[str | None, typer.Option(help=f"Only of this class: {', '.join(ERROR_CLASSES)}.")]
Run = Annotated[UUID | None, typer.Option(help="Only of this run.")]
Since = Annotated[str | None, typer.Option(help=f"Only what failed since then: {EXAMPLES}.")]
Partition = Annotated[int | None, typer.Option(help="Only of this partition of ticks.dead-letter.", min=0)]
Offset = Annotated[int | None, typer.Option(help="Only the one at this offset of --partition.", min=0)]
AsJson = Annotated[bool, typer.Option("--json", help="Print JSON for scripts.")]
DryRun = Annotated[bool, typer.Option("--dry-run", help="Print what would be done, and do nothing.")]
Most = Annotated[int | None, typer.Option("--limit", help="Most letters to settle; the rest is left for another time.", min=1)]


class TakenOverCommandError(CommandError):
    """Another operator settles letters now."""


class SettlingFailedError(CommandError):
    """The client of Kafka is spent."""


class LetterNotFoundError(CommandError):
    """No letter is at that place."""


@app.command("list", cls=Command, short_help="show the newest, those that wait")
def list_letters(
    source: Source = None,
    error_class: ErrorClass = None,
    run: Run = None,
    since: Since = None,
    partition: Partition = None,
    offset: Offset = None,
    state: Annotated[State | None, typer.Option(help="Only in this state.")] = State.WAITING,
    all_states: Annotated[bool, typer.Option("--all", help="In whatever state.")] = False,
    limit: Annotated[int, typer.Option(help="Most letters to show.", min=1, max=10_000)] = 50,
    as_json: AsJson = False,
) -> None:
    """Show the newest dead letters, those that wait unless another state is asked for.

    Examples: `kasparro dead-letters list`; `kasparro dead-letters list --source coingecko --since 2h`;
    `kasparro dead-letters list --all --error-class nul_character --json`
    """
    from libs.recovery.finding import find  # late: no other command waits for the driver
    from libs.recovery.settling import open_desk
    from services.cli.letter_words import say_found

    async def look() -> None:
        async with open_desk(connection, DECLARED, SystemClock(), client=None) as desk:
            wanted = None if all_states else state
            say_found(screen, await find(desk, selection, state=wanted, limit=limit), desk.book.hidden, as_json=as_json)

    screen = Screen()
    with explained(screen):
        selection = _selection(source, error_class, run, since, partition, offset)
        connection = kafka_connection(read_settings(AddressSettings), CLIENT)
        asyncio.run(look())


@app.command("show", cls=Command, short_help="show one: its headers, its key and its bytes")
def show(
    place: Annotated[str, typer.Argument(metavar="PARTITION:OFFSET", help="Where it is in ticks.dead-letter.")],
    raw: Annotated[bool, typer.Option("--raw", help="Write the bytes of the value and nothing else.")] = False,
    as_json: AsJson = False,
) -> None:
    """Show one dead letter: its headers, its key and its bytes; base64 stands for what is no text.

    Examples: `kasparro dead-letters show 3:17`; `kasparro dead-letters show 3:17 --raw > row.json`
    """
    from libs.recovery.finding import fetch_record  # late, as above
    from services.cli.letter_words import print_raw, say_record

    screen = Screen()
    with explained(screen):
        partition, offset = _place(place)
        connection = kafka_connection(read_settings(AddressSettings), CLIENT)
        record = asyncio.run(fetch_record(connection, DECLARED, partition, offset))
        if record is None:
            raise LetterNotFoundError(f"{DECLARED.dead_letters} has no letter at {place}: see `kasparro dead-letters list --all`")
        if raw:
            print_raw(record)
        else:
            say_record(screen, record, as_json=as_json)


@app.command("redrive", cls=Command, short_help="send those that wait back to where they came from")
def redrive_letters(
    source: Source = None,
    error_class: ErrorClass = None,
    run: Run = None,
    since: Since = None,
    partition: Partition = None,
    offset: Offset = None,
    limit: Most = None,
    as_json: AsJson = False,
    dry_run: DryRun = False,
) -> None:
    """Publish letters that wait to the topics they came from, by key, with the attempt counted. Each once, whatever happens.

    One that fails again is a new dead letter. Safe to repeat, and to repeat after it was killed: it goes on with what still
    waits. Fails with 1 when a letter that was meant cannot be re-driven; it says why, and the letter stays.

    Examples: `kasparro dead-letters redrive --dry-run`; `kasparro dead-letters redrive --error-class refused_by_database`;
    `kasparro dead-letters redrive --source csv --since 1d --limit 1000`;
    `kasparro dead-letters redrive --partition 3 --offset 17`
    """

    def selection_of() -> Selection:
        return _selection(source, error_class, run, since, partition, offset)

    _settle(selection_of, limit, redriving=True, as_json=as_json, dry_run=dry_run)


@app.command("drop", cls=Command, short_help="give up: they wait no more")
def drop_letters(
    source: Source = None,
    error_class: ErrorClass = None,
    run: Run = None,
    since: Since = None,
    partition: Partition = None,
    offset: Offset = None,
    everything: Annotated[bool, typer.Option("--all", help="Give up every letter that waits.")] = False,
    limit: Most = None,
    as_json: AsJson = False,
    dry_run: DryRun = False,
) -> None:
    """Give letters up: they wait no more, and are not re-driven. Their topic keeps them for as long as it keeps any.

    Examples: `kasparro dead-letters drop --error-class missing_symbol --dry-run`;
    `kasparro dead-letters drop --partition 3 --offset 17`; `kasparro dead-letters drop --all`
    """

    def selection_of() -> Selection:
        selection = _selection(source, error_class, run, since, partition, offset)
        if selection == Selection() and not everything:
            raise UseError("this would give up every letter that waits: say which with a filter, or --all")
        return selection

    _settle(selection_of, limit, redriving=False, as_json=as_json, dry_run=dry_run)


def _settle(selection_of: Callable[[], Selection], limit: int | None, *, redriving: bool, as_json: bool, dry_run: bool) -> None:
    from libs.kafka.transactions import TransactionalClient  # late, as above
    from libs.recovery.redriving import Tally, drop, redrive
    from libs.recovery.settling import open_desk
    from services.cli.letter_words import say_tally

    screen, progress = Screen(), Progress("re-driven" if redriving else "dropped")

    async def settle() -> Tally:
        client = None if dry_run else TransactionalClient(connection, DECLARED.transactional_id)
        async with open_desk(connection, DECLARED, SystemClock(), client=client) as desk:
            work = redrive if redriving else drop
            return await work(desk, selection, limit=limit, tell=lambda tally: progress.tell(tally.done))

    with explained(screen):
        selection = selection_of()
        connection = kafka_connection(read_settings(AddressSettings), CLIENT)
        with _in_our_words(progress):
            tally = asyncio.run(settle())
        say_tally(screen, tally, redriving=redriving, as_json=as_json, dry_run=dry_run)
        if tally.cannot:
            raise typer.Exit(FAILED)


@dataclass(slots=True)
class Progress:
    """What is done so far, told on stderr now and then: stdout is for what came of it."""

    verb: str
    done: int = 0
    _told_at: float = field(default_factory=time.monotonic)

    def tell(self, done: int) -> None:
        """Remember it, and say it if the last time was a while ago."""
        self.done = done
        if time.monotonic() - self._told_at > SAY_AGAIN_SECONDS:
            self._told_at = time.monotonic()
            typer.echo(f"{done} {self.verb} so far", err=True)


@contextmanager
def _in_our_words(progress: Progress) -> Iterator[None]:
    from libs.kafka.errors import KafkaUnreachableError, WedgedProducerError
    from libs.recovery.settling import TakenOverError

    go_on = f"{progress.verb} before; repeat the command to go on with the rest: no letter is taken twice"
    try:
        yield
    except TakenOverError as error:
        told = f"somebody else settles dead letters now, and this command has stopped; {progress.done} {go_on}"
        raise TakenOverCommandError(told) from error
    except WedgedProducerError as error:
        raise SettlingFailedError(f"Kafka would go on no more ({error}); {progress.done} or more {go_on}") from error
    except KafkaUnreachableError as error:
        raise KafkaUnreachableError(f"Kafka does not answer ({error}); {progress.done} or more {go_on}") from error


def _selection(
    source: str | None, error_class: str | None, run: UUID | None, since: str | None, partition: int | None, offset: int | None
) -> Selection:
    if source is not None and source not in SOURCE_TOPICS:
        raise UseError(f"there is no source {source!r}; there are: {', '.join(SOURCE_TOPICS)}")
    if error_class is not None and error_class not in ERROR_CLASSES:
        raise UseError(f"there is no error class {error_class!r}; there are: {', '.join(ERROR_CLASSES)}")
    if offset is not None and partition is None:
        raise UseError("--offset needs --partition: each partition counts by itself")
    moment = None if since is None else moment_of(since, SystemClock().utc())
    return Selection(source, error_class, run, moment, partition, offset)


def _place(text: str) -> tuple[int, int]:
    partition, _, offset = text.partition(":")
    if not (_WHOLE.fullmatch(partition) and _WHOLE.fullmatch(offset)):
        raise UseError(f"{text!r} is no place of a letter; write PARTITION:OFFSET, such as 3:17")
    return int(partition), int(offset)
