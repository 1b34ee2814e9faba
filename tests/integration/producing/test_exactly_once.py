"""A producer killed at any line, fenced, or left without its broker: every content once, every run told once."""

import asyncio
import json
from collections import Counter
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from contextlib import asynccontextmanager
from datetime import timedelta

import pytest
from aiohttp import web
from aiokafka import AIOKafkaProducer

from libs.contracts.cursors import PollCursor
from libs.contracts.run_events import ShardPublished
from libs.kafka import transactions
from libs.kafka.errors import KafkaUnreachableError
from libs.kafka.groups import OwnedPartition
from libs.kafka.partitioning import partition_of
from libs.kafka.records import Position, Record
from libs.kafka.tailing import read_to_end
from libs.kafka.transactions import Transaction, TransactionalClient
from libs.producing import writing
from libs.producing.drift import KnownShape
from libs.producing.publication import News, ReadAnswer
from libs.producing.published import Published
from libs.sources.coingecko import SOURCE
from services.producers.coingecko.fetcher import CoinGecko
from tests.integration.producing.bench import Bench, coins
from tests.integration.producing.provider_server import answer


def coingecko(bench: Bench, top_n: int = 100) -> CoinGecko:
    return CoinGecko(bench.provider(), top_n, bench.named(SOURCE))


def serve(bench: Bench, *pages: list[dict[str, object]]) -> None:
    for number, page in enumerate(pages, start=1):
        bench.server.respond[f"/coins/markets?page={number}"] = answer(json.dumps(page))


async def stop(task: asyncio.Task[None]) -> None:
    task.cancel()
    await asyncio.wait([task])


class Reached(asyncio.Event):
    """Holds whoever gets there, until the test is done with them."""

    async def hold(self) -> None:
        self.set()
        await asyncio.Event().wait()


@pytest.mark.parametrize("point", ["before the ticks", "after the ticks", "before the commit"])
async def test_killed_between_send_and_commit_nothing_shows_and_the_restart_publishes_once(
    bench: Bench, monkeypatch: pytest.MonkeyPatch, point: str
) -> None:
    serve(bench, coins(range(60)))
    reached = Reached()
    send, commit_offset = Transaction.send, Transaction.commit_offset

    async def held_send(transaction: Transaction, records: Sequence[Record]) -> list[Position]:
        has_ticks = any(record.topic == bench.topics.raw.name for record in records)
        if has_ticks and point == "before the ticks":
            await reached.hold()
        positions = await send(transaction, records)
        if has_ticks and point == "after the ticks":
            await reached.hold()
        return positions

    async def held_commit(transaction: Transaction, group: str, topic: str, partition: int, next_offset: int) -> None:
        await commit_offset(transaction, group, topic, partition, next_offset)
        if bench.server.requests:
            await reached.hold()

    monkeypatch.setattr(Transaction, "send", held_send)
    if point == "before the commit":
        monkeypatch.setattr(Transaction, "commit_offset", held_commit)
    first = bench.start(coingecko(bench))
    run_id = await bench.command()
    async with asyncio.timeout(30):
        await reached.wait()
    await stop(first)
    monkeypatch.undo()
    assert await bench.ticks() == []

    bench.start(coingecko(bench))
    story = await bench.story(run_id)
    assert story.counts() == (60, 0, 60, 0)
    assert Counter(tick.source_id for tick in await bench.ticks()) == {f"coin-{n}": 1 for n in range(60)}
    assert await bench.requests_counted() == len(bench.server.requests) == 2


async def test_a_commit_whose_outcome_is_unknown_is_not_repeated(bench: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    """The process dies after the commit reached the broker and before it knew."""
    serve(bench, coins(range(60)))
    reached = Reached()
    transaction = TransactionalClient.transaction

    @asynccontextmanager
    async def committed_then_held(client: TransactionalClient) -> AsyncIterator[Transaction]:
        async with transaction(client) as opened:
            yield opened
        if await bench.ticks():
            await reached.hold()

    monkeypatch.setattr(TransactionalClient, "transaction", committed_then_held)
    first = bench.start(coingecko(bench))
    run_id = await bench.command()
    async with asyncio.timeout(30):
        await reached.wait()
    await stop(first)
    monkeypatch.undo()
    bench.start(coingecko(bench))
    assert (await bench.run()).counts() == (60, 60, 0, 0)
    told = [event for event in await bench.stories() if event.run_id == run_id and isinstance(event, ShardPublished)]
    assert len(told) == 1
    assert len(await bench.ticks()) == 60


async def test_a_zombie_cannot_publish_after_its_successor(bench: Bench) -> None:
    """The zombie fetched before it was fenced; when it wakes up, its command has been done."""
    hold = asyncio.Event()
    page = json.dumps(coins(range(60)))

    async def slow_for_the_first(_: web.Request) -> web.StreamResponse:
        if bench.server.counts["/coins/markets?page=1"] == 1:
            await hold.wait()
        return web.Response(text=page, content_type="application/json")

    bench.server.respond["/coins/markets?page=1"] = slow_for_the_first
    bench.start(coingecko(bench))
    run_id = await bench.command()
    async with asyncio.timeout(30):
        await bench.server.asked.wait()
    for partition in range(3):
        successor = TransactionalClient(bench.connection, f"kasparro-{bench.source}-{partition}")
        await successor.open()
        await successor.close()
    hold.set()
    story = await bench.story(run_id)
    assert story.counts() == (60, 0, 60, 0)
    assert len(await bench.ticks()) == 60
    assert sum(isinstance(event, ShardPublished) for event in await bench.stories()) == 1


async def test_the_same_command_twice_publishes_once(bench: Bench) -> None:
    serve(bench, coins(range(60)))
    run_id = await bench.command()
    await bench.command(run_id=run_id)
    bench.start(coingecko(bench))
    await bench.story(run_id)
    assert (await bench.run()).counts() == (60, 60, 0, 0)
    assert len(await bench.ticks()) == 60


async def test_two_replicas_divide_the_shards_and_one_takes_over_when_the_other_leaves(bench: Bench) -> None:
    pages = [coins(range(250 * page, 250 * page + 250)) for page in range(8)]
    serve(bench, *pages)
    first, second = bench.start(coingecko(bench, 2_000)), bench.start(coingecko(bench, 2_000))
    await bench.joined(2)
    assert (await bench.run()).counts() == (2_000, 0, 2_000, 0)
    await stop(first)
    serve(bench, *[coins(range(250 * page, 250 * page + 250), price=2) for page in range(8)])
    assert (await bench.run()).counts() == (2_000, 0, 2_000, 0)
    assert len(await bench.ticks()) == len({tick.tick_id for tick in await bench.ticks()}) == 4_000
    assert not second.done()


@pytest.mark.parametrize(("moved", "unchanged", "begun_anew"), [("copied", 1, 0), ("swapped", 0, 1)])
async def test_replicas_that_decide_at_one_moment_queue_up_and_tell_what_both_have_once(
    bench: Bench, monkeypatch: pytest.MonkeyPatch, moved: str, unchanged: int, begun_anew: int
) -> None:
    """A row moves between two answers, and their owners claim together: the second one decides anew.

    It begins anew only when its cursor changes: it was to remember a row that it has lost, and which the other one has now.
    """
    pages = [coins(range(250 * page, 250 * page + 250)) for page in range(8)]
    serve(bench, *pages)
    bench.start(coingecko(bench, 2_000)), bench.start(coingecko(bench, 2_000))
    await bench.joined(2)
    await bench.run()
    # Of three partitions the first is one replica's, and the last the other's.
    one, other = (next(n for n in range(1, 9) if partition_of(str(n).encode(), 3) == place) for place in (0, 2))
    new = [coins(range(250 * page, 250 * page + 250), price=2) for page in range(8)]
    if moved == "swapped":
        new[one - 1][-1], new[other - 1][0] = new[other - 1][0], new[one - 1][-1]
    else:
        new[other - 1][0] = new[one - 1][-1]
    serve(bench, *new)
    theirs = {f"{bench.source}/{page}".encode(): asyncio.Event() for page in (one, other)}
    claiming: dict[object, bytes | None] = {}
    aborted, decided = list[bytes](), Counter[str]()
    announce, abort, against = Transaction.announce, transactions._aborted, ReadAnswer.against

    async def announced_together(transaction: Transaction, records: Sequence[Record], *, topics: Sequence[str] = ()) -> None:
        await announce(transaction, records, topics=topics)
        key = claiming[transaction._producer] = records[0].key if records else None
        if key in theirs:
            theirs[key].set()
            async with asyncio.timeout(30):
                await asyncio.gather(*(there.wait() for there in theirs.values()))

    async def counted(producer: AIOKafkaProducer) -> bool:
        if (key := claiming[producer]) in theirs:
            aborted.append(key)
        return await abort(producer)

    def decide(answer: ReadAnswer, published: Published, known: KnownShape | None) -> tuple[PollCursor, News]:
        decided[answer.shard] += 1
        return against(answer, published, known)

    monkeypatch.setattr(Transaction, "announce", announced_together)
    monkeypatch.setattr(transactions, "_aborted", counted)
    monkeypatch.setattr(ReadAnswer, "against", decide)
    assert (await bench.run()).counts() == (2_000, unchanged, 2_000 - unchanged, 0)
    assert max(decided[str(one)], decided[str(other)]) >= 2 + begun_anew
    assert len(aborted) == begun_anew
    assert len(await bench.ticks()) == len({tick.tick_id for tick in await bench.ticks()}) == 4_000 - unchanged


async def test_who_waits_long_for_the_one_in_front_lets_go_and_begins_anew(bench: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    """Another source's transaction hangs, in which a cursor has come in between what was read and our own."""
    monkeypatch.setattr(writing, "QUEUE_SECONDS", 0.3)
    serve(bench, coins(range(60)))
    theirs = TransactionalClient(bench.connection, f"{bench.source}-another")
    await theirs.open()
    let_go, announce, abort = asyncio.Event(), Transaction.announce, transactions._aborted
    aborted: list[AIOKafkaProducer] = []

    async def hang(sent: asyncio.Event) -> None:
        async with theirs.transaction() as transaction:
            await transaction.send([Record(bench.topics.cursors.name, b"another/1", None)])
            sent.set()
            await let_go.wait()

    async def announced_behind(transaction: Transaction, records: Sequence[Record], *, topics: Sequence[str] = ()) -> None:
        await announce(transaction, records, topics=topics)
        if records and records[0].topic == bench.topics.cursors.name and not tasks:
            sent = asyncio.Event()
            tasks.append(asyncio.create_task(hang(sent)))
            await sent.wait()

    async def counted(producer: AIOKafkaProducer) -> bool:
        aborted.append(producer)
        let_go.set()
        return await abort(producer)

    tasks: list[asyncio.Task[None]] = []
    monkeypatch.setattr(Transaction, "announce", announced_behind)
    monkeypatch.setattr(transactions, "_aborted", counted)
    bench.start(coingecko(bench))
    assert (await bench.run()).counts() == (60, 0, 60, 0)
    await asyncio.gather(*tasks)
    await theirs.close()
    assert len(aborted) == 1
    assert len(await bench.ticks()) == 60
    assert await bench.requests_counted() == len(bench.server.requests) == 1


async def test_a_replica_that_comes_in_the_middle_of_a_run_repeats_nothing(bench: Bench) -> None:
    pages = [coins(range(250 * page, 250 * page + 250)) for page in range(8)]
    serve(bench, *pages)
    bench.start(coingecko(bench, 2_000))
    run_id = await bench.command()
    async with asyncio.timeout(30):
        await bench.server.asked.wait()
    bench.start(coingecko(bench, 2_000))
    bench.start(coingecko(bench, 2_000))
    story = await bench.story(run_id)
    assert story.counts() == (2_000, 0, 2_000, 0)
    assert Counter(event.shard for event in story.published) == {str(page): 1 for page in range(1, 9)}
    assert len(await bench.ticks()) == 2_000


async def test_a_run_that_was_asked_for_while_nobody_produced_is_made_when_somebody_does(bench: Bench) -> None:
    serve(bench, coins(range(5)))
    run_id = await bench.command(lasts=timedelta(minutes=5))
    bench.start(coingecko(bench))
    assert (await bench.story(run_id)).counts() == (5, 0, 5, 0)


async def test_a_transaction_that_was_left_open_is_ended_at_once_although_others_of_the_process_wait_behind_it(
    bench: Bench, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The broker was away for a moment, too long to abort. Readers stop there until the id is opened again, or for a minute."""
    all_asked = asyncio.Event()

    def page(number: int) -> Callable[[web.Request], Awaitable[web.StreamResponse]]:
        async def respond(_: web.Request) -> web.StreamResponse:
            if len(bench.server.counts) == 2:
                all_asked.set()
            await all_asked.wait()
            return web.Response(text=json.dumps(coins(range(number * 250, number * 250 + 250))), content_type="application/json")

        return respond

    for number in (1, 2):  # their commands have a partition each
        bench.server.respond[f"/coins/markets?page={number}"] = page(number)
    send, left_open = Transaction.send, asyncio.Event()

    async def send_and_lose_the_broker(transaction: Transaction, records: Sequence[Record]) -> list[Position]:
        positions = await send(transaction, records)
        if any(record.topic == bench.topics.raw.name for record in records) and not left_open.is_set():
            left_open.set()
            raise KafkaUnreachableError("the broker is away")
        return positions

    aborted = transactions._aborted

    async def not_aborted(producer: AIOKafkaProducer) -> bool:
        monkeypatch.setattr(transactions, "_aborted", aborted)
        return False

    monkeypatch.setattr(Transaction, "send", send_and_lose_the_broker)
    monkeypatch.setattr(transactions, "_aborted", not_aborted)
    bench.start(coingecko(bench, 500))
    run_id = await bench.command()
    async with asyncio.timeout(60):
        await left_open.wait()
    async with asyncio.timeout(transactions.TRANSACTION_TIMEOUT_MS / 1000 / 3):
        story = await bench.story(run_id)
    assert story.counts() == (500, 0, 500, 0)


async def test_what_was_done_is_asked_for_until_it_is_known(bench: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    """The commit of a plan lands and its answer does not; nor, at first, does the answer to where the group stands."""
    serve(bench, coins(range(60)))
    transaction, committed_offset = TransactionalClient.transaction, OwnedPartition.committed_offset
    away: list[str] = []

    @asynccontextmanager
    async def committed_unheard(client: TransactionalClient) -> AsyncIterator[Transaction]:
        async with transaction(client) as opened:
            yield opened
        if not away:
            away.append("commit")
            await client.close()
            raise KafkaUnreachableError("no answer to the commit")

    async def unanswered_once(owned: OwnedPartition) -> int:
        if away == ["commit"]:
            away.append("offset")
            raise KafkaUnreachableError("no answer to the question")
        return await committed_offset(owned)

    monkeypatch.setattr(TransactionalClient, "transaction", committed_unheard)
    monkeypatch.setattr(OwnedPartition, "committed_offset", unanswered_once)
    bench.start(coingecko(bench))
    story = await bench.run()
    assert story.counts() == (60, 0, 60, 0)
    assert (await bench.run()).counts() == (60, 60, 0, 0)
    assert away == ["commit", "offset"]
    commands = await read_to_end(bench.connection, bench.topics.commands.name)
    assert Counter(record.key for record in commands) == {b"*": 2, b"1": 2}
    assert len(bench.server.requests) == 2
