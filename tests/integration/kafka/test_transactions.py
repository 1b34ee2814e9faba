import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import pytest
from aiokafka import TopicPartition

from libs.kafka.connection import KafkaConnection
from libs.kafka.end_probe import open_end_probe
from libs.kafka.errors import FencedProducerError, WedgedProducerError
from libs.kafka.offsets import Place, open_group_offsets
from libs.kafka.records import Record
from libs.kafka.tailing import Start, TopicRecord, open_tail, read_to_end
from libs.kafka.transactions import Transaction, TransactionalClient
from tests.integration.kafka.topics import create, own_topic


async def test_nothing_of_an_aborted_transaction_is_read(connection: KafkaConnection) -> None:
    topic = own_topic()
    await create(connection, topic)
    client = TransactionalClient(connection, topic.name)
    await client.open()
    with pytest.raises(RuntimeError, match="changed my mind"):  # noqa: PT012 the block is what is tested
        async with client.transaction() as transaction:
            await transaction.send([Record(topic.name, b"key", b"aborted")])
            raise RuntimeError("changed my mind")
    assert client.is_open
    async with client.transaction() as transaction:
        (place,) = await transaction.send([Record(topic.name, b"key", b"committed")])
    await client.close()
    read = await read_to_end(connection, topic.name)
    assert [(record.offset, record.value) for record in read] == [(place.offset, b"committed")]


@asynccontextmanager
async def fenced_in_the_middle(connection: KafkaConnection, topic: str) -> AsyncIterator[tuple[Transaction, TransactionalClient]]:
    """Give a transaction that has sent a record and was then overtaken, and who overtook it; what it does next is to fail."""
    zombie, owner = TransactionalClient(connection, topic), TransactionalClient(connection, topic)
    await zombie.open()
    with pytest.raises(FencedProducerError):  # noqa: PT012 the block is what is tested
        async with zombie.transaction() as transaction:
            await transaction.send([Record(topic, b"key", b"zombie")])
            await owner.open()
            yield transaction, owner
    assert not zombie.is_open


async def test_who_opens_the_id_fences_who_had_it(connection: KafkaConnection) -> None:
    topic = own_topic()
    await create(connection, topic)
    async with fenced_in_the_middle(connection, topic.name) as (transaction, owner):
        await transaction.send([Record(topic.name, b"key", b"zombie again")])
    async with owner.transaction() as transaction:
        await transaction.send([Record(topic.name, b"key", b"owner")])
    await owner.close()
    assert [record.value for record in await read_to_end(connection, topic.name)] == [b"owner"]


async def test_a_fenced_idle_client_learns_it_at_its_next_transaction(connection: KafkaConnection) -> None:
    topic = own_topic()
    await create(connection, topic)
    zombie, owner = TransactionalClient(connection, topic.name), TransactionalClient(connection, topic.name)
    await zombie.open()
    await owner.open()
    with pytest.raises(FencedProducerError):
        async with zombie.transaction() as transaction:
            await transaction.send([Record(topic.name, b"key", b"zombie")])
    await owner.close()
    assert await read_to_end(connection, topic.name) == []


async def test_reading_to_the_end_waits_for_a_transaction_that_is_open_below_it(connection: KafkaConnection) -> None:
    topic = own_topic()
    await create(connection, topic)
    slow, quick = TransactionalClient(connection, topic.name + ".slow"), TransactionalClient(connection, topic.name + ".quick")
    await slow.open()
    await quick.open()
    async with slow.transaction() as transaction:
        await transaction.send([Record(topic.name, b"slow", b"1")])
        async with quick.transaction() as other:
            await other.send([Record(topic.name, b"quick", b"2")])
        reading = asyncio.create_task(read_to_end(connection, topic.name))
        done, _ = await asyncio.wait([reading], timeout=1)
        assert not done
    assert [record.key for record in await reading] == [b"slow", b"quick"]
    await slow.close()
    await quick.close()


async def test_a_tail_from_the_end_sees_what_comes_once_it_is_ready_and_passes_the_markers(connection: KafkaConnection) -> None:
    topic = own_topic()
    await create(connection, topic)
    client = TransactionalClient(connection, topic.name)
    await client.open()
    async with client.transaction() as transaction:
        await transaction.send([Record(topic.name, b"key", b"before")])
    async with open_tail(connection, topic.name, start=Start.END) as tail, open_end_probe(connection) as probe:
        assert await tail.read() == []
        assert tail.ready.is_set()
        async with client.transaction() as transaction:
            await transaction.send([Record(topic.name, b"key", b"after")])
        read: list[TopicRecord] = []
        async with asyncio.timeout(10):
            while tail.positions != await probe.ends(topic.name):
                read += await tail.read()
        assert [record.value for record in read] == [b"after"]
    await client.close()


async def test_a_wedged_transactional_client_says_so_and_its_successor_goes_on(connection: KafkaConnection) -> None:
    topic = own_topic()
    await create(connection, topic)
    client = TransactionalClient(connection, topic.name)
    await client.open()
    async with client.transaction() as transaction:
        await transaction.send([Record(topic.name, b"key", b"first")])
    assert client._producer is not None
    client._producer._txn_manager.increment_sequence_number(TopicPartition(topic.name, 0), 7)
    with pytest.raises(WedgedProducerError):
        async with client.transaction() as transaction:
            await transaction.send([Record(topic.name, b"key", b"lost in the hole")])
    await client.close()
    await client.open()
    async with client.transaction() as transaction:
        await transaction.send([Record(topic.name, b"key", b"second")])
    await client.close()
    assert [record.value for record in await read_to_end(connection, topic.name)] == [b"first", b"second"]


async def test_an_offset_that_is_committed_while_records_are_sent_goes_with_them(connection: KafkaConnection) -> None:
    """Partitions that were announced, and then not written to, are no harm."""
    topic, other = own_topic(), own_topic()
    await create(connection, topic)
    await create(connection, other)
    client = TransactionalClient(connection, topic.name)
    await client.open()
    async with open_group_offsets(connection, topic.name) as offsets:
        with pytest.raises(RuntimeError, match="changed my mind"):  # noqa: PT012 the block is what is tested
            async with client.transaction() as transaction:
                await transaction.announce([Record(topic.name, b"key", b"aborted")], topics=[other.name])
                async with transaction.committing_offset(topic.name, other.name, 0, 6):
                    await transaction.send([Record(topic.name, b"key", b"aborted")])
                    raise RuntimeError("changed my mind")
        assert client.is_open
        assert await offsets.committed() == {}
        async with client.transaction() as transaction:
            await transaction.announce([Record(topic.name, b"key", b"committed")], topics=[other.name])
            async with transaction.committing_offset(topic.name, other.name, 0, 7):
                await transaction.send([Record(topic.name, b"key", b"committed"), Record(topic.name, None, b"anywhere")])
        await client.close()
        await client.open()  # which waits until the broker has written down what was committed
        assert await offsets.committed() == {Place(other.name, 0): 7}
    await client.close()
    assert {record.value for record in await read_to_end(connection, topic.name)} == {b"committed", b"anywhere"}
    assert await read_to_end(connection, other.name) == []


async def test_an_offset_that_cannot_be_committed_ends_its_transaction(connection: KafkaConnection) -> None:
    topic = own_topic()
    await create(connection, topic)
    async with (
        fenced_in_the_middle(connection, topic.name) as (transaction, owner),
        transaction.committing_offset(topic.name, topic.name, 0, 1),
    ):
        await asyncio.sleep(0)
    await owner.close()
    async with open_group_offsets(connection, topic.name) as offsets:
        assert await offsets.committed() == {}
    assert await read_to_end(connection, topic.name) == []


@pytest.mark.parametrize("when", ["after the claim", "before the offset is heard of"])
async def test_who_is_fenced_while_the_offset_is_under_way_is_told_so(connection: KafkaConnection, when: str) -> None:
    """The client then says of the next send that there is no transaction: as if we had made a mistake."""
    claims, data = own_topic(), own_topic()
    await create(connection, claims)
    await create(connection, data)
    claim, record = Record(claims.name, b"k", b"claim"), Record(data.name, b"k", b"v")
    zombie, owner = TransactionalClient(connection, claims.name), TransactionalClient(connection, claims.name)
    await zombie.open()
    with pytest.raises(FencedProducerError):  # noqa: PT012 the block is what is tested
        async with zombie.transaction() as transaction:
            await transaction.announce([claim, record])
            if when == "after the claim":
                async with transaction.committing_offset("some-group", claims.name, 0, 1):
                    await transaction.send([claim])
                    await owner.open()
                    await transaction.send([record])
            else:
                await transaction.send([claim])
                await owner.open()
                async with transaction.committing_offset("some-group", claims.name, 0, 1):
                    await asyncio.sleep(0.5)
                    await transaction.send([record])
    await owner.close()
