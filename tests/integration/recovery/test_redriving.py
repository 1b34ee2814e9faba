"""Dead letters go back to where they came from: each once, untouched, whoever is killed."""

import asyncio
import random
from collections import Counter
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from uuid import UUID

import pytest
from aiokafka.admin import AIOKafkaAdminClient

from libs.contracts.topics import Topic
from libs.domain.rejections import Reason
from libs.kafka.admin import ensure_topics
from libs.kafka.connection import KafkaConnection
from libs.kafka.partitioning import partition_of
from libs.kafka.publishing import Publisher, open_publisher
from libs.kafka.records import Record
from libs.kafka.tailing import read_to_end
from libs.kafka.transactions import TransactionalClient
from libs.recovery.letters import Obstacle, Selection, State
from libs.recovery.redriving import redrive
from libs.recovery.settling import TakenOverError
from libs.streaming.checkpoints import open_checkpoints
from services.normalizer.wiring import Topics
from tests.integration.kafka.odd_headers import send_oddly_headed
from tests.integration.normalizer.conftest import PARTITIONS
from tests.integration.recovery.desks import desk_of, dropped, letter, places_of, published, redriven, states
from tests.integration.streaming.conftest import eventually


async def test_a_letter_returns_with_its_key_its_bytes_and_its_own_headers_and_the_next_attempt(
    connection: KafkaConnection, publisher: Publisher, topics: Topics
) -> None:
    own = [("line", b"f.csv:3"), ("twice", b"\x00"), ("twice", b"\xff\xfe"), ("", b"")]
    values = [b"\x00a\xff\x00", b"", None]
    letters = [
        letter(topics, number, key=key, value=value, original=own, attempt=number + 1)
        for number, (key, value) in enumerate((key, value) for key in (None, b"", b"\x00\xff", b"btc") for value in values)
    ]
    await publisher.publish(letters)
    tally = await redriven(connection, places_of(topics))
    assert (tally.matched, tally.done, tally.repeats, tally.cannot) == (len(letters), len(letters), 0, {})
    found = sorted(await published(connection, topics), key=lambda one: int(one.headers[-1][1]))
    assert [(one.key, one.value) for one in found] == [(one.key, one.value) for one in letters]
    assert [one.headers for one in found] == [(*own, ("kasparro.attempt", b"%d" % (number + 2))) for number in range(len(found))]
    assert all(one.partition == partition_of(one.key, PARTITIONS) for one in found if one.key is not None)


async def test_a_letter_is_redriven_once_however_often_it_is_asked_for(
    connection: KafkaConnection, publisher: Publisher, topics: Topics
) -> None:
    places = places_of(topics)
    await publisher.publish([letter(topics, number, key=b"%d" % number) for number in range(20)])
    first, second = await redriven(connection, places), await redriven(connection, places)
    assert (first.done, first.already) == (20, 0)
    assert (second.done, second.already) == (0, 20)
    await publisher.publish([letter(topics, 20)])
    assert (await redriven(connection, places)).done == 1
    assert len(await published(connection, topics)) == 21


async def test_a_dry_run_counts_what_would_be_done_and_does_nothing(
    connection: KafkaConnection, publisher: Publisher, topics: Topics
) -> None:
    places = places_of(topics)
    await publisher.publish([letter(topics, number, key=b"%d" % number) for number in range(7)])
    assert (await redriven(connection, places, dry_run=True)).done == 7
    assert await published(connection, topics) == []
    assert await read_to_end(connection, topics.settlements) == []
    assert set((await states(connection, places)).values()) == {State.WAITING}


async def test_a_repeat_is_never_redriven_and_follows_the_first(
    connection: KafkaConnection, publisher: Publisher, topics: Topics
) -> None:
    """Replays set the same records aside again, one of them in another partition, since it has no key."""
    places = places_of(topics)
    keyless = [letter(topics, 5, key=None, at=1), letter(topics, 5, key=None, at=0)]
    for record in (letter(topics, 4, at=0), *keyless, letter(topics, 4, at=0)):  # one by one, so that their times are in order
        await publisher.publish([record])
    tally = await redriven(connection, places)
    assert (tally.matched, tally.done, tally.repeats) == (4, 2, 2)
    await publisher.publish([letter(topics, 4, at=2)])
    again = await redriven(connection, places)
    assert (again.done, again.already, again.repeats) == (0, 2, 3)
    assert len(await published(connection, topics)) == 2
    assert Counter((await states(connection, places)).values()) == {State.REDRIVEN: 2, State.REPEAT: 3}
    async with desk_of(connection, places, dry_run=True) as desk:
        read = [letter async for letter, _ in desk.book.letters(desk.scanner, range(PARTITIONS))]
        assert {desk.book.settled_state(letter.moment) for letter in read} == {State.REDRIVEN}


async def test_the_same_place_with_other_bytes_or_another_attempt_is_no_repeat(
    connection: KafkaConnection, publisher: Publisher, topics: Topics
) -> None:
    await publisher.publish([letter(topics, 4), letter(topics, 4, attempt=2), letter(topics, 4, value=b"of a topic made anew")])
    tally = await redriven(connection, places_of(topics))
    assert (tally.done, tally.repeats) == (3, 0)


async def test_filters_take_what_fits_all_of_them(connection: KafkaConnection, publisher: Publisher, topics: Topics) -> None:
    run_id = UUID(int=9)
    (first, *_) = await publisher.publish(
        [
            letter(topics, 0, key=b"0", at=1),
            letter(topics, 1, key=b"1", source="csv", at=0),
            letter(topics, 2, key=b"2", reason=Reason.NUL_CHARACTER, at=0),
            letter(topics, 3, key=b"3", run_id=run_id, at=0),
            letter(topics, 4, key=b"4", source="csv", run_id=run_id, at=0),
        ]
    )
    places = places_of(topics)
    soon = datetime.now(UTC) + timedelta(minutes=5)
    selections = [
        (Selection(since=soon), []),
        (Selection(source="nobody"), []),
        (Selection(source="csv", run_id=run_id), [b"4"]),
        (Selection(run_id=run_id), [b"3"]),
        (Selection(error_class="nul_character"), [b"2"]),
        (Selection(partition=first.partition, offset=first.offset), [b"0"]),
        (Selection(since=soon - timedelta(hours=1)), [b"1"]),
    ]
    seen: list[bytes | None] = []
    for selection, keys in selections:
        await redriven(connection, places, selection)
        found = {one.key for one in await published(connection, topics)}
        assert found == {*seen, *keys}, selection
        seen += keys


async def test_a_limit_leaves_the_rest_for_the_next_time(
    connection: KafkaConnection, publisher: Publisher, topics: Topics
) -> None:
    places = places_of(topics)
    await publisher.publish([letter(topics, number, key=b"%d" % number) for number in range(10)])
    first = await redriven(connection, places, limit=4)
    assert (first.done, first.left) == (4, 6)
    second = await redriven(connection, places)
    assert (second.done, second.already, second.left) == (6, 4, 0)
    assert sorted(int(one.key or b"") for one in await published(connection, topics)) == list(range(10))


async def test_what_cannot_return_says_why_and_stays_until_it_is_dropped(
    connection: KafkaConnection, publisher: Publisher, topics: Topics
) -> None:
    places = places_of(topics)
    (command,) = places.commands
    await publisher.publish(
        [
            letter(topics, -1, partition=-1, key=None),
            letter(topics, 3, topic=command),
            letter(topics, 3, topic=topics.assets),
            letter(topics, 3, topic="nobody's"),
            Record(topics.dead_letters, None, b"\x00"),
            letter(topics, 3, topic=topics.runs, key=b"run"),
        ]
    )
    expected = {Obstacle.IN_NO_TOPIC: 1, Obstacle.COMMAND: 1, Obstacle.NOT_TAKEN_BACK: 2, Obstacle.ORIGIN_UNKNOWN: 1}
    for done in (1, 0):
        tally = await redriven(connection, places)
        assert (tally.done, tally.cannot) == (done, expected)
    assert [one.key for one in await read_to_end(connection, topics.runs)] == [b"run"]
    assert await read_to_end(connection, topics.assets) == []
    given_up = await dropped(connection, places)
    assert (given_up.done, given_up.already, given_up.cannot) == (5, 1, {})
    assert Counter((await states(connection, places)).values()) == {State.REDRIVEN: 1, State.DROPPED: 5}


async def test_what_is_dropped_is_not_redriven(connection: KafkaConnection, publisher: Publisher, topics: Topics) -> None:
    places = places_of(topics)
    await publisher.publish(
        [letter(topics, number, key=b"%d" % number, source="csv" if number % 2 else "x") for number in range(9)]
    )
    assert (await dropped(connection, places, Selection(source="csv"))).done == 4
    tally = await redriven(connection, places)
    assert (tally.done, tally.already) == (5, 4)
    assert {int(one.key or b"") % 2 for one in await published(connection, topics)} == {0}


async def test_a_record_that_its_topic_refuses_stays_and_its_neighbours_return(
    connection: KafkaConnection, publisher: Publisher, topics: Topics
) -> None:
    narrow = Topic(f"{topics.runs}-narrow", "a test's", "any", None, (), (), timedelta(days=1), largest_message=2_000)
    await ensure_topics(connection, [narrow])
    places = replace(places_of(topics), takes_back=frozenset({narrow.name}))
    values = {number: b"x" for number in range(9)} | {4: random.Random(1).randbytes(4_000), 7: random.Random(2).randbytes(4_000)}  # noqa: C420
    await publisher.publish(
        [letter(topics, n, key=b"%d" % n, value=value, topic=narrow.name, at=0) for n, value in values.items()]
    )
    tally = await redriven(connection, places)
    assert (tally.done, tally.cannot) == (7, {Obstacle.REFUSED: 2})
    found = Counter(one.key for one in await read_to_end(connection, narrow.name))
    assert found == {b"%d" % number: 1 for number in range(9) if number not in {4, 7}}


async def test_who_begins_later_takes_over_and_the_other_stops(
    connection: KafkaConnection, publisher: Publisher, topics: Topics
) -> None:
    places = places_of(topics)
    await publisher.publish([letter(topics, number, key=b"%d" % number) for number in range(30)])
    with pytest.raises(TakenOverError):  # noqa: PT012 the block is what is tested
        async with desk_of(connection, places) as overtaken:
            assert (await redriven(connection, places, limit=10)).done == 10
            await redrive(overtaken, Selection())
    assert (await redriven(connection, places)).done == 20
    assert Counter(one.key for one in await published(connection, topics)) == {b"%d" % number: 1 for number in range(30)}


async def test_many_at_once_redrive_each_letter_once(connection: KafkaConnection, publisher: Publisher, topics: Topics) -> None:
    places = places_of(topics)
    await publisher.publish([letter(topics, number, key=b"%d" % number) for number in range(200)])
    ends = await asyncio.gather(*(redriven(connection, places) for _ in range(4)), return_exceptions=True)
    assert all(isinstance(end, TakenOverError) for end in ends if isinstance(end, BaseException)), ends
    await redriven(connection, places)
    assert Counter(one.key for one in await published(connection, topics)) == {b"%d" % number: 1 for number in range(200)}


async def test_the_groups_offsets_are_those_of_the_lowest_letters_that_wait(
    connection: KafkaConnection, publisher: Publisher, topics: Topics
) -> None:
    places = places_of(topics)
    await publisher.publish(
        [letter(topics, number, key=b"%d" % number, source="x" if number == 3 else "csv", at=0) for number in range(6)]
    )
    await publisher.publish([letter(topics, 6, key=b"6", source="x", at=1)])

    async def committed() -> dict[int, int]:
        async with open_checkpoints(connection, places.group) as checkpoints:
            return {partition: offset for (_, partition), offset in (await checkpoints.committed()).items()}

    await redriven(connection, places, Selection(source="csv"))
    assert await committed() == {0: 3, 1: 0, 2: 0}
    await redriven(connection, places)
    assert await committed() == {0: 6, 1: 1, 2: 0}


async def test_letters_behind_an_open_transaction_are_told_and_left_for_later(
    connection: KafkaConnection, publisher: Publisher, topics: Topics
) -> None:
    places = places_of(topics)
    await publisher.publish([letter(topics, 0, at=0)])
    producer = TransactionalClient(connection, f"{topics.group}-producer")
    await producer.open()
    async with producer.transaction() as transaction:
        await transaction.send([letter(topics, 1, at=0)])
        await publisher.publish([letter(topics, 2, at=0)])
        tally = await redriven(connection, places)
        assert (tally.done, tally.hidden) == (1, 2)
    await producer.close()
    assert (await redriven(connection, places)).done == 2
    assert len(await published(connection, topics)) == 3


async def test_letters_of_a_topic_made_anew_wait_although_their_offsets_were_settled_before(
    connection: KafkaConnection, publisher: Publisher, topics: Topics
) -> None:
    places = places_of(topics)
    await publisher.publish([letter(topics, number, key=b"%d" % number, at=0) for number in range(8)])
    assert (await redriven(connection, places)).done == 8
    await _make_anew(connection, topics.dead_letters)
    async with open_publisher(connection) as fresh:
        await fresh.publish([letter(topics, number, key=b"%d" % number, at=0) for number in range(100, 103)])
        assert set((await states(connection, places)).values()) == {State.WAITING}
        assert (await redriven(connection, places)).done == 3
        await fresh.publish([letter(topics, number, key=b"%d" % number, at=0) for number in range(200, 206)])
    tally = await redriven(connection, places)
    assert (tally.done, tally.already) == (6, 3)
    assert len(await published(connection, topics)) == 17


async def test_a_letter_with_a_header_name_that_is_no_text_returns_with_its_bytes(
    connection: KafkaConnection, publisher: Publisher, topics: Topics
) -> None:
    made = letter(topics, 3, key=b"\xfe", value=b"\x00\xff")
    await send_oddly_headed(connection, made.topic, made.key, made.value, made.headers)
    assert (await redriven(connection, places_of(topics))).done == 1
    (found,) = await published(connection, topics)
    assert (found.key, found.value) == (made.key, made.value)
    expected: tuple[object, ...] = (("\\xff\\xfeodd", b"1"), ("null", None), ("kasparro.attempt", b"2"))
    assert found.headers == expected


async def _make_anew(connection: KafkaConnection, topic: str) -> None:
    admin = AIOKafkaAdminClient(**connection.options())
    await admin.start()
    try:
        await admin.delete_topics([topic])

        async def is_gone() -> bool:
            return topic not in await admin.list_topics()

        await eventually(is_gone, "the topic is gone")
    finally:
        await admin.close()
    await ensure_topics(connection, [Topic(topic, "a test's", "any", None, (), (), timedelta(days=1), PARTITIONS)])
