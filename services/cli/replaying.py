"""A replay as the command line does it: look, show, and do it unless that is not wanted or not safe."""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Final

from libs.contracts.topics import ASSETS_NORMALIZED, NORMALIZER_GROUP, SOURCE_TOPICS, TOPICS
from libs.kafka.connection import KafkaConnection
from libs.kafka.errors import KafkaUnreachableError
from libs.kafka.offsets import GroupInUseError, GroupOffsets, OffsetsNotSetError, open_group_offsets
from libs.kafka.publishing import open_publisher
from libs.postgres.errors import DatabaseUnreachableError, is_outage
from libs.postgres.pool import Pool
from libs.postgres.schema import missing_in
from libs.postgres.writing.rebuilding import Emptied, Held
from libs.postgres.writing.sessions import open_writing_pool
from libs.process.clock import SystemClock
from libs.recovery.rebuilding import Tables, rebuild, survey
from libs.recovery.replaying import Pipeline, Wish, move, plan
from libs.recovery.retelling import Retelling, Told
from libs.recovery.targets import Move, ReplayRefusedError
from libs.sources.catalogue import PRIORITIES, SOURCES
from services.cli.errors import CommandError, UseError
from services.cli.printing import print_json
from services.cli.replay_words import COLUMNS, beyond_reach_of, row_of, skipped_of, summary_of, warnings_of
from services.cli.screen import Screen

CLIENT: Final = "kasparro-replay"

STATEMENT_SECONDS: Final = 600.0
"""Counting what a large table would lose takes a while."""


@dataclass(frozen=True, slots=True)
class Manner:
    """How: whether losses are consented to, scripts read along, or nothing is done at all."""

    consented: bool
    as_json: bool
    dry_run: bool


@dataclass(slots=True)
class Report:
    """What is done, or would be, as scripts read it."""

    group: str
    moves: list[Move]
    held: list[Held]
    warnings: list[str]
    in_use: str | None
    done: bool = False
    emptied: Emptied | None = None
    told: Told | None = None


@dataclass(frozen=True, slots=True)
class Replaying:
    """One replay: what is wanted of whom, and where it is told."""

    screen: Screen
    connection: KafkaConnection
    pipeline: Pipeline
    wish: Wish
    manner: Manner

    async def carry_out(self, offsets: GroupOffsets, pool: "Pool | None") -> None:
        """Do it unless that is not wanted or not safe; with a `pool` it is a rebuild."""
        report = await self._look(offsets, pool)
        if self.manner.dry_run:
            self._show(report)
            return
        if (skipped_of(report.moves) or beyond_reach_of(report.held)) and not self.manner.consented:
            self._show(report)
            raise CommandError("nothing was done: data would be lost, see above; say --yes if that is what you want")
        if not self.manner.as_json:
            self._show(report)
        if pool is None:
            await move(offsets, report.moves)
        else:
            report.emptied = await rebuild(pool, _tables(self.wish, self.pipeline), offsets, report.moves)
            report.told = await self._tell_subscribers(pool)
        report.done = True
        self._conclude(report)

    async def _look(self, offsets: GroupOffsets, pool: "Pool | None") -> Report:
        in_use = None
        try:
            await offsets.require_no_members()
        except GroupInUseError as error:
            if not self.manner.dry_run:
                raise
            in_use = str(error)
        moves = await plan(self.wish, self.pipeline, offsets)
        held: list[Held] = []
        if pool is not None:
            if not self.manner.as_json:
                self.screen.say("Reading the raw topics, to know which rows they can bring back")
            held = await survey(self.connection, pool, _tables(self.wish, self.pipeline), self.pipeline.raw)
        return Report(offsets.group, moves, held, warnings_of(moves, held), in_use)

    async def _tell_subscribers(self, pool: Pool) -> Told:
        try:
            async with open_publisher(self.connection) as publisher:
                return await Retelling(self.connection, pool, publisher, self.pipeline.assets, SystemClock()).tell()
        except KafkaUnreachableError as error:
            raise KafkaUnreachableError(
                f"{error}. The tables are emptied and the offsets are at the beginning, but {self.pipeline.assets} may hold "
                "assets that are gone: run the same command again before the normalizer starts"
            ) from error

    def _show(self, report: Report) -> None:
        if self.manner.as_json:
            print_json(report)
            return
        self.screen.table(COLUMNS, [row_of(move) for move in report.moves])
        self.screen.say(summary_of(report.moves))
        for one in report.held:
            history = f", and of the history {one.ticks} ticks and all candles" if self.wish.history else ""
            self.screen.say(f"{one.source}: the rebuild empties {one.raw_rows} raw rows and {one.quotes} quotes{history}")
        for warning in report.warnings:
            self.screen.warn(warning)
        if report.in_use:
            self.screen.warn(f"This would be refused now: {report.in_use}")

    def _conclude(self, report: Report) -> None:
        if self.manner.as_json:
            print_json(report)
            return
        if report.emptied and report.told:
            self.screen.say(
                f"Emptied {report.emptied.quotes} quotes and {report.emptied.assets_gone} assets; subscribers were told of "
                f"{report.told.tombstones} that are gone and {report.told.assets} that changed"
            )
        self.screen.say(f"{report.group} goes on from there when the normalizer starts; `kasparro lag` shows how far it is")


async def run_replay(replaying: Replaying, database_url: str | None) -> None:
    """Connect and carry it out; with a database it is a rebuild."""
    async with open_group_offsets(replaying.connection, NORMALIZER_GROUP) as offsets:
        if database_url is None:
            await replaying.carry_out(offsets, None)
            return
        if missing := await missing_in(database_url, application=CLIENT):
            raise CommandError(f"the database lacks {', '.join(missing)}: run `kasparro migrate` first")
        async with open_writing_pool(
            database_url, application=CLIENT, connections=2, statement_seconds=STATEMENT_SECONDS
        ) as pool:
            await replaying.carry_out(offsets, pool)


def declared_pipeline() -> Pipeline:
    """Return what the normalizer reads and where its assets go."""
    raw = {source: topics.raw.name for source, topics in SOURCE_TOPICS.items()}
    others = [topic.name for topic in TOPICS if "normalizer" in topic.readers and topic.name not in raw.values()]
    return Pipeline(raw, ASSETS_NORMALIZED.name, others)


def _tables(wish: Wish, pipeline: Pipeline) -> Tables:
    return Tables({name: SOURCES[name].raw_table for name in (wish.sources or pipeline.raw)}, PRIORITIES, wish.history)


@contextmanager
def in_our_words() -> Iterator[None]:
    """Turn refusals and outages into errors of the command line."""
    try:
        yield
    except ReplayRefusedError as error:
        raise UseError(str(error)) from error
    except (GroupInUseError, OffsetsNotSetError) as error:
        raise CommandError(str(error)) from error
    except Exception as error:
        if not is_outage(error):
            raise
        raise DatabaseUnreachableError(f"Postgres cannot be used: {error!r}; run the same command again") from error
