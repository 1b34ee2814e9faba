"""Everything that the owner of a command partition writes, exactly once, through outages, fencing and rebalances.

How: one transactional id a command partition. Whoever opens it has fenced the owner before and settled the transaction it
left open, so the group's committed offset, read after that, says for certain whether the command in hand has been done.
The decision what to publish rests on etl.cursors: a transaction sends its own cursor first, and if another replica's came
in between what it had read and its own, that one is waited for and the decision is made anew. The log's order is the lock: who
claims behind us waits for us. A decision that asks for the same cursor again goes on in its transaction, and so replicas queue
up; any other, and one that has waited for long, begins another transaction.
"""

import asyncio
import random
from collections.abc import Awaitable, Callable, Sequence
from contextlib import AbstractAsyncContextManager, nullcontext
from dataclasses import dataclass, field

import structlog

from libs.contracts.cursors import Cursor
from libs.kafka.errors import FencedProducerError, KafkaUnreachableError, WedgedProducerError
from libs.kafka.groups import HEARTBEAT_MS, OwnedPartition
from libs.kafka.records import Position, Record
from libs.kafka.tailing import TopicRecord
from libs.kafka.transactions import Transaction, TransactionalClient, TransactionExpiredError
from libs.process.clock import Clock
from libs.process.outages import OutageBoard, Wait
from libs.producing.cursors import Changes, CursorView, cursor_record

log = structlog.get_logger(__name__)

FIRST_RETRY_SECONDS = 0.25
LONGEST_RETRY_SECONDS = 5.0
FENCED_SECONDS = HEARTBEAT_MS / 1000 + 1
"""After a heartbeat we know whether the partition is still ours; taking the id back sooner would fence its new owner."""
QUEUE_SECONDS = 10.0
"""Longest that a transaction waits for those in front of it: the broker's time for it runs meanwhile, and all behind it wait."""
MOST_EXPIRIES = 3
"""Transactions for one command that may take too long before we stop trying: what is too much for the broker stays so."""


def _nothing(_: Sequence[Position]) -> Sequence[Record]:
    return ()


@dataclass(frozen=True, slots=True)
class Writing:
    """One transaction: the cursors that claim its place, the records, and those that tell where these landed.

    What a decision rests on is in `claims`: whoever claims behind the first of them sees none that is sent later.
    `then_topics` are where the last will go, for the broker to be told of in time.
    """

    claims: Sequence[Cursor] = ()
    records: Sequence[Record] = ()
    then: Callable[[Sequence[Position]], Sequence[Record]] = field(default=_nothing)
    then_topics: Sequence[str] = ()


Compose = Callable[[], Awaitable[Writing | None]]
"""Decides what to write from the view as it is when it is called; more than once, if need be."""


class _OvertakenError(Exception):
    """Another replica's cursor came in between, and what this transaction has claimed does not stand any more."""


class PartitionWriter:
    """The writer of one owned command partition.

    All of a process take turns (`turn`): a claim that is overtaken by one of our own is a decision made twice for nothing.
    An id is opened outside of them: whoever has the turn may be waiting behind the transaction that opening it ends.
    """

    def __init__(
        self,
        owned: OwnedPartition,
        client: TransactionalClient,
        view: CursorView,
        *,
        cursors: str,
        clock: Clock,
        turn: asyncio.Lock,
        board: OutageBoard,
    ) -> None:
        self._owned = owned
        self._client = client
        self._view = view
        self._cursors = cursors
        self._clock = clock
        self._turn = turn
        self._one_at_a_time = asyncio.Lock()
        self._next_command = 0
        self._board = board
        self._wait: Wait | None = None

    async def write(self, compose: Compose, *, command: TopicRecord | None = None) -> bool:
        """Commit what `compose` decides on, together with the command's offset; wait outages out.

        `compose` is called with the view caught up, and again after each failure; None writes nothing. Returns False when
        it wrote nothing, or when another owner has done the command already. Raises RecordsRefusedError, and for a command
        TransactionExpiredError after MOST_EXPIRIES tries: the command is not done then.
        """
        retry_seconds, expiries = FIRST_RETRY_SECONDS, 0
        while True:
            try:
                async with self._one_at_a_time:
                    await self._open()
                    async with self._turn:
                        written = await self._attempt(compose, command)
            except _OvertakenError:
                continue
            except (KafkaUnreachableError, WedgedProducerError) as error:
                self._tell_away(error)
                if command is not None and isinstance(error, TransactionExpiredError):
                    expiries += 1
                    log.warning("transaction_expired", attempt=expiries)
                    if expiries == MOST_EXPIRIES:
                        raise
                fenced = isinstance(error, FencedProducerError)
                await self._clock.sleep(FENCED_SECONDS if fenced else retry_seconds * random.uniform(0.5, 1))  # noqa: S311 jitter
                retry_seconds = min(2 * retry_seconds, LONGEST_RETRY_SECONDS)
            else:
                self._tell_back()
                return written

    async def close(self) -> None:
        """Close the client; a transaction that is open is aborted."""
        await self._client.close()
        self._end_wait()

    async def _open(self) -> None:
        if self._client.is_open:
            return
        await self._client.open()
        try:
            self._next_command = await self._owned.committed_offset()
        except BaseException:
            await self._client.close()  # who finds it open takes it that the offset is known
            raise

    async def _attempt(self, compose: Compose, command: TopicRecord | None) -> bool:
        if command is not None and command.offset < self._next_command:
            log.info("command_already_done")
            return False
        await self._view.catch_up()
        decided_at, decided_on = self._view.position, self._view.changes
        writing = await compose()
        if writing is None:
            return False
        async with self._client.transaction() as transaction:
            claims = [cursor_record(self._cursors, claim) for claim in writing.claims]
            await transaction.announce([*claims, *writing.records], topics=writing.then_topics)
            async with self._done(transaction, command):
                if claims:
                    first, *_ = await transaction.send(claims)
                    if first.offset > decided_at:
                        await self._until_first(first.offset)
                        writing = await self._decided_anew(compose, writing, decided_on)
                positions = await transaction.send(writing.records)
                await transaction.send(writing.then(positions))
        if command is not None:
            self._next_command = command.offset + 1
        return True

    def _done(self, transaction: Transaction, command: TopicRecord | None) -> AbstractAsyncContextManager[None]:
        """Commit the command's offset with the transaction; it does not matter in which order the broker hears of its parts."""
        if command is None:
            return nullcontext()
        return transaction.committing_offset(self._owned.group, command.topic, command.partition, command.offset + 1)

    async def _until_first(self, offset: int) -> None:
        """Wait until all transactions that claimed before this offset have ended. Raises _OvertakenError when that takes long."""
        try:
            async with asyncio.timeout(QUEUE_SECONDS):
                await self._view.reach(offset)
        except TimeoutError:
            raise _OvertakenError from None

    async def _decided_anew(self, compose: Compose, writing: Writing, decided_on: Changes) -> Writing:
        """Return what to write, now that everything is known that was claimed before us. Raises _OvertakenError.

        What is not claimed alone, by others or by us, is not decided inside a transaction: the rest of theirs may have been sent
        behind our claim, where we cannot see it.
        """
        changes = self._view.changes
        if changes == decided_on:
            return writing
        if changes.others != decided_on.others or len(writing.claims) > 1:
            raise _OvertakenError
        if all(changes.of(claim) == decided_on.of(claim) for claim in writing.claims):
            return writing
        again = await compose()
        if again is None or again.claims != writing.claims:
            raise _OvertakenError
        return again

    def _tell_away(self, error: Exception) -> None:
        if self._wait is None:
            if isinstance(error, WedgedProducerError):
                log.warning("producer_replaced", error=str(error))
            else:
                log.warning("kafka_unreachable", error=str(error))
            self._wait = self._board.begin("kafka")
        self._wait.failed(error)

    def _tell_back(self) -> None:
        if self._wait is not None:
            log.info("kafka_reachable")
        self._end_wait()

    def _end_wait(self) -> None:
        wait, self._wait = self._wait, None
        if wait is not None:
            self._board.end(wait)
