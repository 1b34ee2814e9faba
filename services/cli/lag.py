"""`kasparro lag`: how far the normalizer is behind what the producers have published."""

import asyncio
from typing import Annotated

import typer

from libs.contracts.topics import NORMALIZER_GROUP, SOURCE_TOPICS
from libs.process.clock import SystemClock
from libs.process.settings import read_settings
from services.cli.addresses import kafka_connection
from services.cli.failing import FAILED, explained
from services.cli.printing import print_json
from services.cli.screen import Screen
from services.cli.settings import AddressSettings


def lag(
    fail_above: Annotated[int | None, typer.Option(help="Exit with 1 when more records than this wait.", min=0)] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON for scripts.")] = False,
) -> None:
    """Show, for each partition of the raw topics, the normalizer's committed offset, the log's end, and what lies between.

    Caught up is 0, although transactions leave markers in the log that nobody reads. Seconds: how long ago the oldest unread
    tick was published, and how long ago it was true.

    Examples: `kasparro lag`; `kasparro lag --json --fail-above 10000`
    """
    from libs.kafka.lag import LagReader, PartitionLag  # late: no other command waits for the driver

    async def read() -> list[PartitionLag]:
        reader = LagReader(connection)
        try:
            return await reader.read(NORMALIZER_GROUP, [each.raw.name for each in SOURCE_TOPICS.values()], SystemClock().utc())
        finally:
            await reader.close()

    screen = Screen()
    with explained(screen):
        settings = read_settings(AddressSettings)
        connection = kafka_connection(settings, "kasparro-lag")
        found = asyncio.run(read())
        total = sum(each.lag_messages for each in found)
        if as_json:
            print_json({"group": NORMALIZER_GROUP, "lag_messages": total, "partitions": found})
        else:
            screen.table(
                ("topic", "partition", "committed", "log end", "lag", "seconds", "event seconds"),
                [
                    (
                        each.topic,
                        str(each.partition),
                        "-" if each.committed is None else str(each.committed),
                        str(each.log_end),
                        str(each.lag_messages),
                        _seconds(each.lag_seconds),
                        _seconds(each.event_lag_seconds),
                    )
                    for each in found
                ],
            )
            screen.say(f"{NORMALIZER_GROUP} is {total} messages behind")
        if fail_above is not None and total > fail_above:
            raise typer.Exit(FAILED)


def _seconds(seconds: float | None) -> str:
    return "-" if seconds is None else f"{seconds:.1f}"
