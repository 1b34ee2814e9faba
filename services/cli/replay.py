"""`kasparro replay`: move the checkpoints of the stopped normalizer, and empty its tables first where that is asked for."""

import asyncio
from typing import Annotated

import typer

from libs.process.clock import SystemClock
from libs.process.settings import read_settings
from services.cli.addresses import database_of, kafka_connection
from services.cli.failing import explained
from services.cli.screen import Screen
from services.cli.settings import AddressSettings


def replay(
    to: Annotated[str, typer.Option(help="beginning, a time (ISO 8601, or 2h, 3d: ago), or offsets of one source: 0=1200,3=77.")],
    source: Annotated[list[str] | None, typer.Option(help="This source's ticks alone. Repeatable.")] = None,
    partition: Annotated[list[int] | None, typer.Option(help="These partitions of the ticks alone. Repeatable.", min=0)] = None,
    rebuild: Annotated[
        bool, typer.Option("--rebuild", help="Empty the tables that ticks make first; with --to beginning only.")
    ] = False,
    history: Annotated[
        bool, typer.Option("--history", help="With --rebuild: empty the history too, ticks and candles, of all time.")
    ] = False,
    yes: Annotated[bool, typer.Option("--yes", help="Go on although records are skipped, or rows lost for good.")] = False,
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON for scripts.")] = False,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Print what would be done, and do nothing.")] = False,
) -> None:
    """Replay: move the committed offsets of the stopped normalizer, so that it reads from there when it starts again.

    Refuses while the normalizer runs. Reading again changes nothing that is right: older data never overwrite newer, and a
    record counts once for its run. Without --source, --partition and offsets, everything that the normalizer reads is
    replayed: ticks, run events, dead letters, gaps.

    Examples: `kasparro replay --to beginning --dry-run`; `kasparro replay --to 2h --source coingecko`;
    `kasparro replay --to 2026-05-01T12:00Z`; `kasparro replay --to 0=1200,3=77 --source csv`;
    `kasparro replay --to beginning --rebuild`
    """
    from libs.recovery.replaying import Wish, check  # late: no other command waits for the drivers
    from services.cli.replay_target import target_of
    from services.cli.replaying import CLIENT, Manner, Replaying, declared_pipeline, in_our_words, run_replay

    screen = Screen()
    with explained(screen), in_our_words():
        target = target_of(to, partition or (), SystemClock().utc())
        wish = Wish(target, tuple(dict.fromkeys(source or ())), tuple(dict.fromkeys(partition or ())), rebuild, history)
        pipeline = declared_pipeline()
        check(wish, pipeline)
        settings = read_settings(AddressSettings)
        connection = kafka_connection(settings, CLIENT)
        database_url = database_of(settings) if rebuild else None
        replaying = Replaying(screen, connection, pipeline, wish, Manner(yes, as_json, dry_run))
        asyncio.run(run_replay(replaying, database_url))
