"""A Faust transport that hands an agent chunks: one event for all the records of one partition in a fetch.

Faust spends 66 microseconds on each message it delivers; a chunk of thousands costs the same as one message. What Faust
does with offsets is replaced as well, because it acknowledges on paths where nothing was handled (a `finally`, a message
skipped in a rebalance): here only `ChunkConsumer.acknowledge` moves a committed offset, and it is called by hand.
"""

import asyncio
from collections import defaultdict, deque
from collections.abc import Iterator, Mapping
from contextlib import suppress
from typing import Any, Final

from faust.transport.drivers import aiokafka as driver
from faust.types import TP, ConsumerMessage
from mode import Service

from libs.streaming.chunks import Chunk
from libs.streaming.fetching import ChunkConsumerThread, Chunking, chunking_of

IDLE_POLL_SECONDS: Final = 0.25
"""How long an empty poll lasts; then positions are looked at, so that a trailing marker is committed soon."""

BUSY_POLL_SECONDS: Final = 0.05
"""How long it lasts while some topic is held back, so that its next chunk is asked for as soon as there is room."""

AHEAD: Final = 3.0
"""Full chunks of one topic that may wait for their acknowledgement: two are stored, and one is being read, published or ready.

A fourth makes nothing faster, and a backlog 15 MB dearer (measured).
"""

LEAST_SHARE: Final = 1 / 6
"""What a small chunk counts as, of a full one: enough of them for each step to take several together, and no more."""

CLIENT_WATCH_SECONDS: Final = 1.0
"""How long a refusal of the group, or a client that has died, goes unnoticed."""


class ChunkConsumer(driver.Consumer):
    """Delivers chunks to the agents, and commits what they acknowledge at once."""

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self._applied: dict[TP, int] = {}
        self._delivered: defaultdict[TP, deque[Chunk]] = defaultdict(deque)
        self._done: set[Chunk] = set()
        self._ahead: defaultdict[str, float] = defaultdict(float)
        self._acknowledged = asyncio.Event()
        self._room = asyncio.Event()

    _thread: ChunkConsumerThread

    def _new_consumer_thread(self) -> ChunkConsumerThread:
        return ChunkConsumerThread(self, loop=self.loop, beacon=self.beacon)

    async def _getmany(  # type: ignore[override]  # chunks in place of records: what this transport is for
        self,
        active_partitions: set[TP],
        timeout: float,  # noqa: ARG002, ASYNC109 - Faust's signature, and its second is too long to look at positions
    ) -> Mapping[TP, list[Chunk]]:
        ready = {tp for tp in active_partitions if self._ahead[tp.topic] < AHEAD}
        if not ready:
            await self._room_made(within=BUSY_POLL_SECONDS)
            return {}
        longest = IDLE_POLL_SECONDS if len(ready) == len(active_partitions) else BUSY_POLL_SECONDS
        chunks: Mapping[TP, list[Chunk]] = await self._thread.getmany(ready, longest)
        return chunks

    async def _room_made(self, *, within: float) -> None:
        self._room.clear()
        with suppress(TimeoutError):
            async with asyncio.timeout(within):
                await self._room.wait()

    def _to_message(self, tp: TP, chunk: Chunk) -> ConsumerMessage:
        """Make the event of a chunk; its offset is its last one, so that Faust sees offsets grow."""
        if chunk.follows is None:
            self._forget_position(TP(*tp), chunk)
        self._delivered[TP(*tp)].append(chunk)
        self._ahead[chunk.topic] += self._share(chunk)
        body: Any = chunk  # Faust says bytes; with the raw codec it passes on whatever it is given
        return ConsumerMessage(
            chunk.topic, chunk.partition, chunk.end - 1, 0.0, 0, None, None, body, None, 0, 0, TP(*tp),
            generation_id=self.app.consumer_generation_id,
        )  # fmt: skip

    def _share(self, chunk: Chunk) -> float:
        """How much of a full chunk it is."""
        full = chunking_of(self.app.transport)
        return max(len(chunk) / full.records, chunk.size / full.bytes, LEAST_SHARE)

    def _forget_position(self, tp: TP, chunk: Chunk) -> None:
        """Faust drops what lies before where it was: a topic that was made anew begins there."""
        self._read_offset[tp] = None
        committed = self._committed_offset[tp]
        if committed is not None and chunk.start < committed:
            self._committed_offset[tp] = None

    async def perform_seek(self) -> None:
        """Go back to the committed offsets; whatever was delivered and not acknowledged comes again."""
        self._delivered.clear()
        self._done.clear()
        self._ahead.clear()
        await super().perform_seek()

    def acknowledge(self, chunk: Chunk) -> None:
        """Say that the chunk is applied. What is committed is the end of the last chunk before which all are applied.

        A chunk from before a rebalance is not ours to acknowledge any more: it comes again, here or elsewhere.
        """
        tp = TP(chunk.topic, chunk.partition)
        waiting = self._delivered[tp]
        if chunk not in waiting:
            return
        self._done.add(chunk)
        while waiting and waiting[0] in self._done:
            first = waiting.popleft()
            self._done.discard(first)
            self._ahead[chunk.topic] -= self._share(first)
            self._applied[tp] = first.end
        self._acknowledged.set()
        self._room.set()

    def applied_position(self, topic: str, partition: int) -> int | None:
        """Return up to where the partition has been applied, None while it is not ours."""
        tp = TP(topic, partition)
        if tp not in self.assignment():
            return None
        return self._applied.get(tp) or self._committed_offset[tp] or 0

    @Service.task
    async def _commit_handler(self) -> None:
        while not self.should_stop:
            if await self.wait_for_stopped(self._acknowledged.wait()):
                return
            self._acknowledged.clear()
            await self.commit()
            if any(self._should_commit(tp, offset) for tp, offset in self._applied.items()):
                # Another commit was under way, or the group was rebalancing; try again soon.
                await self.sleep(0.1)
                self._acknowledged.set()

    @Service.task
    async def _client_watch(self) -> None:
        """End the app when the group will not have us or nothing is fetched any more, rather than be idle and silent."""
        thread = self._thread
        while not self.should_stop:
            # Not through the thread's queue of calls: those may be waiting for the group themselves.
            await asyncio.wrap_future(asyncio.run_coroutine_threadsafe(thread.check_client(), thread.thread_loop))
            await self.sleep(CLIENT_WATCH_SECONDS)

    async def on_partitions_revoked(self, revoked: set[TP]) -> None:
        """Forget what belongs to another worker now; the rest of a chunk at work is applied twice, which changes nothing."""
        await super().on_partitions_revoked(revoked)
        for tp in revoked:
            self._applied.pop(tp, None)

    def _filter_tps_with_pending_acks(self, topics: Any = None) -> Iterator[TP]:
        return (tp for tp in self._applied if topics is None or tp in topics or tp.topic in topics)

    def _new_offset(self, tp: TP) -> int | None:
        return self._applied.get(tp)

    async def _add_gap(self, tp: TP, offset_from: int, offset_to: int) -> None:
        """Nothing to do: chunks know their positions."""

    def verify_event_path(self, now: float, tp: TP) -> None:
        """Say nothing of slow work: an outage may last, and the work itself logs and reports it."""


class ChunkTransport(driver.Transport):
    """Faust's way to Kafka, in chunks."""

    Consumer = ChunkConsumer

    def __init__(self, app: Any, chunking: Chunking) -> None:
        super().__init__(app.conf.broker_consumer, app)
        self.chunking = chunking
