import asyncio
from datetime import timedelta

import pytest

from libs.contracts.asset import Asset
from libs.kafka.connection import KafkaConnection
from libs.kafka.publishing import Publisher
from libs.postgres.pool import Pool
from libs.process.clock import SystemClock
from libs.process.outages import OutageBoard
from libs.telemetry.meters import Meters
from services.normalizer.measures import Measures
from services.normalizer.outlets import Outlets
from services.normalizer.publishing import AssetPublisher
from services.normalizer.wiring import Topics
from tests.integration.normalizer.conftest import latest, read_all
from tests.integration.writing.conftest import COINGECKO, numbered, place_of, tick, write_chunk


@pytest.fixture
async def outlets(pool: Pool, publisher: Publisher, topics: Topics) -> Outlets:
    clock = SystemClock()
    measures = Measures(Meters("normalizer", "test"))
    return Outlets(pool, publisher, topics.assets, topics.dead_letters, clock, timedelta(seconds=1), OutageBoard(clock), measures)


async def test_a_worker_that_publishes_late_leaves_the_newest_version_last(
    connection: KafkaConnection, pool: Pool, outlets: Outlets, topics: Topics
) -> None:
    one, other = AssetPublisher(outlets), AssetPublisher(outlets)
    late = await write_chunk(pool, COINGECKO, 0, numbered([tick("a", "kept", price="1"), tick("b", "gone"), tick("c", "back")]))
    left = await write_chunk(
        pool, COINGECKO, 0, numbered([tick("a", "kept", minute=1, price="2"), tick("b", "new", minute=1)], 3)
    )
    one.owe(late)
    other.owe(left)
    await other.publish([left])
    await one.publish([late])
    found = latest(await read_all(connection, topics.assets, lambda found: len(found) >= 8))
    rows = {row["asset_uid"]: row["version"] for row in await pool.fetch("SELECT asset_uid, version FROM assets")}
    assert {uid: Asset.decode(value).version for uid, value in found.items() if value} == rows
    assert found["gone"] is None


async def test_a_late_tombstone_gives_way_to_the_asset_that_came_back(
    connection: KafkaConnection, pool: Pool, outlets: Outlets, topics: Topics
) -> None:
    one, other = AssetPublisher(outlets), AssetPublisher(outlets)
    await write_chunk(pool, COINGECKO, place_of("old"), numbered([tick("one", "old")]))
    renamed = await write_chunk(pool, COINGECKO, place_of("new"), numbered([tick("one", "new", minute=1)]))
    back = await write_chunk(pool, COINGECKO, place_of("old"), numbered([tick("two", "old")], 1))
    one.owe(renamed)
    other.owe(back)
    await other.publish([back])
    await one.publish([renamed])
    found = latest(await read_all(connection, topics.assets, lambda found: len(found) >= 4))
    assert {uid for uid, value in found.items() if value} == {"old", "new"}


async def test_what_our_own_next_chunk_changed_is_published_once(
    connection: KafkaConnection, pool: Pool, outlets: Outlets, topics: Topics
) -> None:
    publisher = AssetPublisher(outlets)
    first = await write_chunk(pool, COINGECKO, 0, numbered([tick("a", "same", price="1")]))
    publisher.owe(first)
    second = await write_chunk(pool, COINGECKO, 0, numbered([tick("a", "same", minute=1, price="2")], 1))
    publisher.owe(second)
    assert await publisher.publish([first]) == 1
    assert await publisher.publish([second]) == 1
    found = await read_all(connection, topics.assets, lambda found: len(found) >= 2)
    assert [Asset.decode(record.value or b"").price_usd for record in found] == [1, 2]


async def test_a_lane_that_is_late_sends_nothing_older_behind_what_the_other_has_published(
    connection: KafkaConnection, pool: Pool, outlets: Outlets, topics: Topics, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Dying right behind it, it would leave the older for the newest: the chunk of the newer one is acknowledged."""
    publisher = AssetPublisher(outlets)
    moved = numbered([tick("one", "new", minute=1), tick("two", "old", minute=1, price="1")])
    await write_chunk(pool, COINGECKO, place_of("old"), numbered([tick("one", "old")]))
    late = await write_chunk(pool, COINGECKO, place_of("new"), moved[:1])
    publisher.owe(late)
    back = await write_chunk(pool, COINGECKO, place_of("old"), moved[1:])
    publisher.owe(back)
    await publisher.publish([back])

    async def died(_: AssetPublisher, sent: object) -> int:
        raise asyncio.CancelledError(sent)

    monkeypatch.setattr(AssetPublisher, "_catch_up", died)
    with pytest.raises(asyncio.CancelledError):
        await publisher.publish([late])
    monkeypatch.undo()
    await AssetPublisher(outlets).publish([await write_chunk(pool, COINGECKO, place_of("new"), moved[:1])])
    found = latest(await read_all(connection, topics.assets, lambda found: any(record.key == b"new" for record in found)))
    rows = {row["asset_uid"]: row["version"] for row in await pool.fetch("SELECT asset_uid, version FROM assets")}
    assert {uid: Asset.decode(value).version for uid, value in found.items() if value} == rows
