"""How many listings a second a producer takes from a provider's answers to committed transactions.

The clock runs from the first page's being asked for to the last shard's event, which is committed with that shard's ticks.
"""

import asyncio
import time
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from datetime import UTC, datetime, timedelta
from statistics import median
from typing import NamedTuple
from uuid import uuid4

import psutil

from benchmarks.ground import Ground
from benchmarks.processes import cpu_seconds, service
from benchmarks.provider import PAGE_ROWS, Provider, open_provider, rounds_of_pages
from benchmarks.report import Section, say
from benchmarks.ticks import Workload
from libs.contracts.commands import PollCommand
from libs.contracts.run_events import RUN_EVENT, RunStarted, ShardFailed, ShardPublished
from libs.contracts.topics import RUN_EVENTS, SOURCE_TOPICS
from libs.domain.runs import Trigger
from libs.kafka.publishing import Publisher, open_publisher
from libs.kafka.tailing import Start, Tail, open_tail
from libs.producing.messages import command_record

MODULE = "services.producers.coingecko"
RUN_SECONDS = 120
UNMETERED = "1000000"
NEW, UNCHANGED = "every row new", "nothing changed"
HEAD = "| the answer | listings/s | least to most | CPU us a listing |\n|---|---|---|---|"
LINE = "| {kind} | {speed:,.0f} | {least:,.0f} to {most:,.0f} | {cpu:.0f} |"
TEXT = """\
{listings:,} listings in {pages} pages of rows of some 350 bytes; the producer as it is deployed, one process, no limit of
requests a minute. Medians of {rounds} rounds. In it: asking for each page over HTTP on this machine, the transaction that
counts each request before it is sent, reading the rows, the look at what is published, one transaction a page with its
cursor, its ticks and its event. Not in it: starting, joining the group, the provider's own time. The pages are served by
the benchmark, on the same cores. In the first round no row has been seen before, in later ones each has changed.

{table}
"""


class Polled(NamedTuple):
    """One run."""

    listings_per_second: float
    cpu_us_per_listing: float


class Runs(NamedTuple):
    """Asks for runs, and hears of them."""

    publisher: Publisher
    events: Tail

    async def run(self) -> list[ShardPublished]:
        """Ask for a run, and return what its shards published once the last of them has committed."""
        run_id, now = uuid4(), datetime.now(UTC)
        command = PollCommand(
            run_id=run_id,
            source="coingecko",
            trigger=Trigger.MANUAL,
            requested_at=now,
            expires_at=now + timedelta(seconds=RUN_SECONDS),
        )
        await self.publisher.publish([command_record(SOURCE_TOPICS["coingecko"].commands.name, command)])
        published: list[ShardPublished] = []
        expected: int | None = None
        async with asyncio.timeout(RUN_SECONDS):
            while expected is None or len(published) < expected:
                for record in await self.events.read():
                    event = RUN_EVENT.validate_json(record.value or b"")
                    if event.run_id != run_id:
                        continue
                    if isinstance(event, ShardFailed):
                        raise SystemExit(f"error: a poll has failed: {event.error}")
                    if isinstance(event, RunStarted):
                        expected = len(event.shards)
                    if isinstance(event, ShardPublished):
                        published.append(event)
        return published


@asynccontextmanager
async def open_runs(ground: Ground) -> AsyncIterator[Runs]:
    """Follow the runs from now on."""
    connection = ground.connection
    async with open_publisher(connection) as publisher, open_tail(connection, RUN_EVENTS.name, start=Start.END) as tail:
        while not tail.ready.is_set():
            await tail.read(0.1)
        yield Runs(publisher, tail)


def producer_settings(provider: Provider, listings: int) -> dict[str, str]:
    """Return the environment of a producer that polls when it is asked to, as fast as it can."""
    return {
        "COINGECKO_BASE_URL": provider.base_url,
        "COINGECKO_TOP_N": str(listings),
        "COINGECKO_REQUESTS_PER_MINUTE": UNMETERED,
        "ETL_ENABLED": "false",
    }


async def compare(ground: Ground, listings: int, rounds: int) -> Section:
    """Show the producer new rows, and the same rows again, once a round."""
    runs: dict[str, list[Polled]] = {NEW: [], UNCHANGED: []}
    async with (
        open_provider() as provider,
        open_runs(ground) as asked,
        service(ground, MODULE, **producer_settings(provider, listings)) as producer,
    ):
        for round_, pages in enumerate(rounds_of_pages(Workload(listings * rounds, listings)), start=1):
            for kind, held in runs.items():
                provider.show(pages)
                held.append(await poll(asked, provider, [producer], listings, published=listings if kind == NEW else 0))
                say(
                    f"{round_}/{rounds}  {kind:<16} {held[-1].listings_per_second:>8,.0f} listings/s  "
                    f"{held[-1].cpu_us_per_listing:>5.0f} us CPU"
                )
    table = "\n".join([HEAD, *(_line(kind, held) for kind, held in runs.items())])
    text = TEXT.format(listings=listings, pages=-(-listings // PAGE_ROWS), rounds=rounds, table=table)
    ratio = median(
        same.listings_per_second / new.listings_per_second for new, same in zip(runs[NEW], runs[UNCHANGED], strict=True)
    )
    return Section(
        "Producer", text, "listings a second as a multiple of a poll of new rows", [(NEW, 1.0), (UNCHANGED, ratio)], []
    )


async def poll(asked: Runs, provider: Provider, producers: Sequence[psutil.Process], listings: int, *, published: int) -> Polled:
    """Ask for a run, and return how fast it was; what it published must be so many rows."""
    used = sum(map(cpu_seconds, producers))
    shards = await asked.run()
    ended, counts = time.monotonic(), [shard.counts for shard in shards]
    told = (sum(count.fetched for count in counts), sum(count.published for count in counts))
    if told != (listings, published) or provider.asked_at is None:
        raise SystemExit(f"error: fetched and published {told} instead of {(listings, published)}")
    return Polled(listings / (ended - provider.asked_at), 1e6 * (sum(map(cpu_seconds, producers)) - used) / listings)


def _line(kind: str, held: Sequence[Polled]) -> str:
    speeds = [one.listings_per_second for one in held]
    cpu = median(one.cpu_us_per_listing for one in held)
    return LINE.format(kind=kind, speed=median(speeds), least=min(speeds), most=max(speeds), cpu=cpu)
