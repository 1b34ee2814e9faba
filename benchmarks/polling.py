"""How many listings a second a producer takes from a provider's answers to committed transactions.

The clock runs from the first answer to the last shard's event, which is committed with that shard's ticks.
"""

import asyncio
import time
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager
from datetime import UTC, datetime, timedelta
from statistics import median
from typing import NamedTuple
from uuid import uuid4

import psutil

from benchmarks.ground import Ground
from benchmarks.processes import cpu_seconds, service
from benchmarks.provider import PAGE_ROWS, Provider, in_coinpaprikas_words, in_one_answer, in_pages, open_provider, rounds_of_rows
from benchmarks.report import Section, say
from benchmarks.ticks import Workload
from libs.contracts.commands import PollCommand
from libs.contracts.run_events import RUN_EVENT, RunStarted, ShardFailed, ShardPublished
from libs.contracts.topics import RUN_EVENTS, SOURCE_TOPICS
from libs.domain.runs import Trigger
from libs.kafka.publishing import Publisher, open_publisher
from libs.kafka.tailing import Start, Tail, open_tail
from libs.producing.messages import command_record

RUN_SECONDS = 120
UNMETERED = "1000000"
NEW, UNCHANGED = "every row new", "nothing changed"
HEAD = "| the answer | | listings/s | least to most | CPU us a listing |\n|---|---|---|---|---|"
LINE = "| {shape} | {kind} | {speed:,.0f} | {least:,.0f} to {most:,.0f} | {cpu:.0f} |"
TEXT = """\
{listings:,} listings, from the provider's first answer to the last committed transaction; the producer as it is deployed, one
process, no limit of requests a minute. Medians of {rounds} rounds. In it: taking each answer over HTTP on this machine,
reading the rows, the look at what is published, one transaction a shard with its cursor, its ticks and its event; with pages,
also the transaction that counts each further request before it is sent. Not in it: starting, joining the group. The answers
are served by the benchmark, and the broker works, on the same cores. A round before, with rows that nobody has seen, is not
counted: in it a cold broker is measured. In those that are, every row has changed since the last.

{table}
"""


class Shape(NamedTuple):
    """How a source gives its listings."""

    name: str
    source: str
    pages: Callable[[list[bytes]], list[bytes]]

    @property
    def module(self) -> str:
        """The producer's process."""
        return f"services.producers.{self.source}"

    def settings(self, provider: Provider, listings: int) -> dict[str, str]:
        """Return the environment of a producer that polls when it is asked to, as fast as it can."""
        name = self.source.upper()
        return {
            f"{name}_BASE_URL": provider.base_url,
            f"{name}_REQUESTS_PER_MINUTE": UNMETERED,
            f"{name}_REQUESTS_PER_MONTH": UNMETERED,
            "COINGECKO_TOP_N": str(listings),
            "ETL_ENABLED": "false",
        }


PAGED = Shape(f"CoinGecko's pages of {PAGE_ROWS}, rows of 340 bytes", "coingecko", in_pages)
SHAPES = (
    Shape("one answer, rows of 340 bytes", "coinpaprika", in_one_answer),
    Shape("one answer, CoinPaprika's rows of 740 bytes", "coinpaprika", in_coinpaprikas_words),
    PAGED,
)


class Polled(NamedTuple):
    """One run."""

    listings_per_second: float
    cpu_us_per_listing: float


class Runs(NamedTuple):
    """Asks for runs of a source, and hears of them."""

    source: str
    publisher: Publisher
    events: Tail

    async def run(self) -> list[ShardPublished]:
        """Ask for a run, and return what its shards published once the last of them has committed."""
        run_id, now = uuid4(), datetime.now(UTC)
        command = PollCommand(
            run_id=run_id,
            source=self.source,
            trigger=Trigger.MANUAL,
            requested_at=now,
            expires_at=now + timedelta(seconds=RUN_SECONDS),
        )
        await self.publisher.publish([command_record(SOURCE_TOPICS[self.source].commands.name, command)])
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
async def open_runs(ground: Ground, source: str) -> AsyncIterator[Runs]:
    """Follow the runs from now on."""
    connection = ground.connection
    async with open_publisher(connection) as publisher, open_tail(connection, RUN_EVENTS.name, start=Start.END) as tail:
        while not tail.ready.is_set():
            await tail.read(0.1)
        yield Runs(source, publisher, tail)


async def compare(ground: Ground, listings: int, rounds: int) -> Section:
    """Show each producer new rows, and the same rows again, once a round."""
    lines, bars = [HEAD], []
    for shape in SHAPES:
        runs = await _rounds(ground, shape, listings, rounds)
        lines += [_line(shape, kind, held) for kind, held in runs.items()]
        bars += [(f"{shape.name}: {kind}", median(one.listings_per_second for one in held)) for kind, held in runs.items()]
    text = TEXT.format(listings=listings, rounds=rounds, table="\n".join(lines))
    return Section("Producer", text, "listings a second", bars, [])


async def _rounds(ground: Ground, shape: Shape, listings: int, rounds: int) -> dict[str, list[Polled]]:
    runs: dict[str, list[Polled]] = {NEW: [], UNCHANGED: []}
    async with (
        open_provider() as provider,
        open_runs(ground, shape.source) as asked,
        service(ground, shape.module, **shape.settings(provider, listings)) as producer,
    ):
        for round_, rows in enumerate(rounds_of_rows(Workload(listings * (rounds + 1), listings))):
            pages = shape.pages(rows)
            for kind, held in runs.items():
                provider.show(pages)
                run = await poll(asked, provider, [producer], listings, published=listings if kind == NEW else 0)
                if round_ == 0:
                    continue
                held.append(run)
                say(
                    f"{round_}/{rounds}  {shape.name:<44} {kind:<16} {held[-1].listings_per_second:>8,.0f} listings/s  "
                    f"{held[-1].cpu_us_per_listing:>5.0f} us CPU"
                )
    return runs


async def poll(asked: Runs, provider: Provider, producers: Sequence[psutil.Process], listings: int, *, published: int) -> Polled:
    """Ask for a run, and return how fast it was; what it published must be so many rows."""
    used = sum(map(cpu_seconds, producers))
    shards = await asked.run()
    ended, counts = time.monotonic(), [shard.counts for shard in shards]
    told = (sum(count.fetched for count in counts), sum(count.published for count in counts))
    if told != (listings, published) or provider.answered_at is None:
        raise SystemExit(f"error: fetched and published {told} instead of {(listings, published)}")
    return Polled(listings / (ended - provider.answered_at), 1e6 * (sum(map(cpu_seconds, producers)) - used) / listings)


def _line(shape: Shape, kind: str, held: Sequence[Polled]) -> str:
    speeds = [one.listings_per_second for one in held]
    cpu = median(one.cpu_us_per_listing for one in held)
    return LINE.format(shape=shape.name, kind=kind, speed=median(speeds), least=min(speeds), most=max(speeds), cpu=cpu)
