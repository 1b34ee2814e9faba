"""The stream's middle: one reader of Kafka, and any number of clients that are woken some ten times a second."""

import asyncio
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from heapq import merge
from typing import Final

import structlog

from libs.kafka.end_probe import EndProbe
from libs.kafka.errors import KafkaUnreachableError, WedgedProducerError
from libs.kafka.tailing import Tail, TopicRecord
from libs.process.clock import Clock
from libs.process.turns import in_turns
from services.query.live.change_log import ChangeLog, ReadAnewError
from services.query.live.positions import Position
from services.query.live.reading import Batch, Held, Reader
from services.query.live.seats import TRANSPORTS, Seat
from services.query.live.wanted import Wanted
from services.query.problems import KafkaUnavailableError, StreamFullError, StreamNotReadyError

log = structlog.get_logger(__name__)

FLUSH_SECONDS: Final = 0.1
"""A change that comes alone goes out at once; after that this long is gathered."""
HEARTBEAT_SECONDS: Final = 15.0
LOOK_SECONDS: Final = 1.0
"""How often clients are woken at least, to see whether a heartbeat is due."""
READY_SECONDS: Final = 3.0
"""How long a client waits for the topic to be read to its end; some 15,000 assets take a second."""
CATCH_UP_SECONDS: Final = 0.1
RETRY_SECONDS: Final = 1.0
SLICE: Final = 25
"""So many records of the first reading are taken without a turn for the others on the loop: half a millisecond at most. An answer
takes some ten turns; with four times as many at once a page took 16 to 30 ms meanwhile, where it now takes 3 to 6."""
MOST_SHARED: Final = 100
"""Batches that are kept for the next client at the same place; clients that keep up stand at one or two."""
LEAVE_SECONDS: Final = 1.0
"""What a client has to take its end when the service stops."""


@dataclass
class AssetStream:
    """Reads assets.normalized from its beginning, and on. Made once; `follow` and `pace` run in tasks of their own."""

    tail: Tail
    probe: EndProbe
    clock: Clock
    most_clients: int
    heartbeat_seconds: float = HEARTBEAT_SECONDS
    flush_seconds: float = FLUSH_SECONDS
    _log: ChangeLog = field(default_factory=lambda: ChangeLog(0))
    _ready: asyncio.Event = field(default_factory=asyncio.Event)
    _changed: asyncio.Event = field(default_factory=asyncio.Event)
    _seats: set[Seat] = field(default_factory=set)
    _shared: dict[tuple[Wanted, int], Batch] = field(default_factory=dict)
    """By what is wanted and where from, for clients that want it all or by rank or source: they are many, and alike."""
    _leaving: bool = False

    async def follow(self) -> None:
        """Read for ever; outages are waited out.

        A topic that was made anew, got more partitions, or was compacted ahead of us, is read anew.
        """
        while True:
            try:
                await self._catch_up()
                while True:
                    self._take(await self.tail.read())
            except ReadAnewError as error:
                log.warning("assets_read_anew", topic=self.tail.topic, error=str(error))
                self._ready.clear()
                await self.tail.close()
                self.tail.positions.clear()
                await self.clock.sleep(RETRY_SECONDS)  # brokers may not be of one mind yet

    async def pace(self) -> None:
        """Wake everybody when there is something new, not too often, and now and then all the same."""
        while True:
            with suppress(TimeoutError):
                async with asyncio.timeout(LOOK_SECONDS):
                    await self._changed.wait()
            self._changed.clear()
            for seat in self._seats:
                seat.news.set()
            await self.clock.sleep(self.flush_seconds)

    def release(self) -> None:
        """Let every client go, and none come: the service stops. Who does not take its end in time is cut off."""
        self._leaving = True
        until = asyncio.get_running_loop().time() + LEAVE_SECONDS
        for seat in self._seats:
            seat.news.set()
            seat.life.reschedule(until)

    def require_room(self) -> None:
        """Raise StreamFullError when there is no place for one more client."""
        if self._leaving or len(self._seats) >= self.most_clients:
            raise StreamFullError(f"{len(self._seats)} clients follow the stream; STREAM_CLIENTS says how many may")

    @property
    def clients(self) -> Mapping[str, int]:
        """How many there are, by transport."""
        counts = dict.fromkeys(TRANSPORTS, 0)
        for seat in self._seats:
            counts[seat.transport] += 1
        return counts

    @contextmanager
    def seated(self, transport: str, reader: Reader, life: asyncio.Timeout) -> Iterator[Seat]:
        """Take a client in. Raises StreamFullError."""
        self.require_room()
        seat = Seat(transport, reader, self.clock.monotonic(), life)
        self._seats.add(seat)
        try:
            yield seat
        finally:
            self._seats.discard(seat)

    async def reader(self, wanted: Wanted, since: Position | None = None, *, whole: bool = False) -> tuple[Reader, bool]:
        """Return a reader from a position, or of all there is first (`whole`), or from now on.

        True with it: the position cannot be answered, and the reader begins with all there is instead.
        Raises StreamNotReadyError, and KafkaUnavailableError when only Kafka knows whether a position is one of this topic.
        """
        await self._until_ready()
        if since is None or not any(since.offsets):  # one that had only just begun with all there is
            whole = whole or since is not None
            return Reader(self._log, wanted, 0 if whole else self._log.end), False
        is_ahead = any(mine > read for mine, read in zip(since.offsets, self._log.ends, strict=False))
        if is_ahead and not await self._is_of_this_topic(since):
            return Reader(self._log, wanted, 0), True
        place = self._log.place_of(since, round(self.clock.utc().timestamp() * 1_000))
        if place is None:
            return Reader(self._log, wanted, 0), True
        held = Held.AS_TOLD if self._log.knows_all_since(since) else Held.ANYTHING
        return Reader(self._log, wanted, place, held, since), False

    async def next_for(self, seat: Seat) -> Batch | None:
        """Wait until there is something to tell; None means that the service stops.

        An empty batch is a heartbeat, or that the client must be told of a reset or of what it has asked for first.
        """
        while not self._leaving:
            seat.news.clear()
            if not seat.asked.empty():
                return Batch(seat.reader.place, ())
            if seat.reader.log is not self._log and self._ready.is_set():
                seat.reader, seat.reset = Reader(self._log, seat.reader.wanted, 0), True
            batch = self._taken_by(seat.reader)
            now = self.clock.monotonic()
            if batch or seat.reset or now - seat.told_at >= self.heartbeat_seconds:
                seat.told_at = now
                seat.sent += len(batch.told)
                seat.skipped += batch.skipped
                if batch.more:
                    await asyncio.sleep(0)  # one that takes all at once is not to keep the others waiting
                return batch
            if batch.more:
                await asyncio.sleep(0)
            else:
                await seat.news.wait()
        return None

    def _taken_by(self, reader: Reader) -> Batch:
        if reader.wanted.uids is not None or not reader.is_ordinary or reader.log is not self._log:
            return reader.take()
        key = reader.wanted, reader.place
        batch = self._shared.get(key)
        if batch is None:
            if len(self._shared) >= MOST_SHARED:
                self._shared.clear()
            batch = self._shared[key] = reader.take()
        reader.place = batch.place
        return batch

    def _take(self, records: list[TopicRecord]) -> None:
        self._require_no_others(self._log.partitions)
        if not records:
            return
        self._shared.clear()
        for record in records:
            self._log.append(record)
        self._changed.set()

    async def _catch_up(self) -> None:
        """Read everything that was there when we asked, into a log of its own; clients keep what they have until then.

        Raises ReadAnewError when that is no longer there.
        """
        ends = await self._ends()
        new, read = ChangeLog(len(ends)), {number: list[TopicRecord]() for number in ends}
        while any(self.tail.positions.get(number, -1) < end for number, end in ends.items()):
            records = await self.tail.read(CATCH_UP_SECONDS)
            self._require_no_others(len(ends))
            for record in records:
                read[record.partition].append(record)
            if not records:  # an outage, a transaction that is open, or the end has moved back and would never be reached
                await self._require_as_long_as(ends)
        # One partition comes after another. In the order of their times, an id stands for one time in all of them.
        async for some in in_turns(merge(*read.values(), key=lambda record: record.timestamp_ms), SLICE):
            for record in some:
                new.append(record)
        new.note_caught_up()
        self._log = new
        self._shared.clear()
        self._ready.set()
        self._changed.set()
        log.info("assets_caught_up", assets=new.assets, offsets=list(new.ends))

    async def _ends(self) -> Mapping[int, int]:
        while True:
            with suppress(KafkaUnreachableError, WedgedProducerError):
                return await self.probe.ends(self.tail.topic, of_all=True)
            await self.clock.sleep(RETRY_SECONDS)

    def _require_no_others(self, partitions: int) -> None:
        """Raise ReadAnewError when the topic has more partitions than a log was made for."""
        if len(self.tail.positions) > partitions:
            raise ReadAnewError(f"the topic has {len(self.tail.positions)} partitions where it had {partitions}")

    async def _require_as_long_as(self, ends: Mapping[int, int]) -> None:
        """Raise ReadAnewError when the topic ends before where it ended: it was made anew."""
        now = await self._ends()
        for number, end in ends.items():
            if now.get(number, 0) < end:
                raise ReadAnewError(f"partition {number}: ended at {end} when its reading began, now at {now.get(number, 0)}")

    async def _is_of_this_topic(self, position: Position) -> bool:
        """Whether Kafka has so many records, though we have not read them yet."""
        try:
            ends = await self.probe.ends(self.tail.topic)
        except (KafkaUnreachableError, WedgedProducerError) as error:
            raise KafkaUnavailableError(f"Kafka does not answer, and we are behind that event id: {error}") from error
        return all(offset <= ends.get(number, 0) for number, offset in enumerate(position.offsets))

    async def _until_ready(self) -> None:
        try:
            async with asyncio.timeout(READY_SECONDS):
                await self._ready.wait()
        except TimeoutError:
            raise StreamNotReadyError("assets.normalized has not been read to its end yet; try again shortly") from None
