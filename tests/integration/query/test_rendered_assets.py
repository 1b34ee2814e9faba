"""What was rendered is given out again only while it is what the table says."""

from collections.abc import AsyncIterator
from decimal import Decimal
from typing import Any

import asyncpg
import msgspec
import pytest

from libs.postgres.pool import open_pool
from libs.postgres.reading.acquiring import Readers, readers_of
from libs.postgres.reading.assets import AssetKey, look_at_assets
from services.query.rendered_assets import RenderedAssets
from tests.integration.query.rows import AssetRow, insert_assets

CHANGE = """
    UPDATE assets SET price_usd = price_usd + 1, version = nextval('asset_versions'), updated_at = clock_timestamp()
    WHERE asset_uid = $1"""


@pytest.fixture
async def connection(database_url: str) -> AsyncIterator[Any]:
    connection = await asyncpg.connect(database_url)
    await insert_assets(connection, [AssetRow(f"a{number}", price_usd=Decimal(number)) for number in range(5)])
    yield connection
    await connection.close()


@pytest.fixture
async def readers(database_url: str) -> AsyncIterator[Readers]:
    async with open_pool(database_url, application="test", connections=1, statement_seconds=5, read_only=True) as pool:
        yield readers_of(pool)


async def keys_of(connection: Any) -> list[AssetKey]:
    return sorted((await look_at_assets(connection, None)).keys)


async def shown(rendered: RenderedAssets, connection: Any) -> dict[str, int]:
    bodies = [msgspec.json.decode(raw) for raw in await rendered.of(await keys_of(connection))]
    return {body["asset_uid"]: body["price_usd"] for body in bodies}


async def test_a_change_is_shown_at_once_and_the_rest_is_not_read_again(connection: Any, readers: Readers) -> None:
    rendered = RenderedAssets(readers)
    assert await shown(rendered, connection) == {f"a{number}": number for number in range(5)}
    await connection.execute(CHANGE, "a3")
    await connection.execute("UPDATE assets SET price_usd = 77 WHERE asset_uid = 'a1'")  # as no writer does: the version stays
    assert await shown(rendered, connection) == {"a0": 0, "a1": 1, "a2": 2, "a3": 4, "a4": 4}


async def test_a_version_that_is_given_out_again_is_another_one(connection: Any, readers: Readers) -> None:
    """As after a restore, which takes the sequence back."""
    rendered = RenderedAssets(readers)
    await shown(rendered, connection)
    await connection.execute("UPDATE assets SET price_usd = 9, updated_at = clock_timestamp() WHERE asset_uid = 'a0'")
    assert (await shown(rendered, connection))["a0"] == 9


async def test_it_holds_so_many_and_forgets_what_was_not_asked_for_the_longest(connection: Any, readers: Readers) -> None:
    rendered = RenderedAssets(readers, most=3)
    for _ in range(2):
        assert await shown(rendered, connection) == {f"a{number}": number for number in range(5)}


async def test_what_is_deleted_after_its_key_was_read_is_left_out(connection: Any, readers: Readers) -> None:
    keys = await keys_of(connection)
    await connection.execute("DELETE FROM assets WHERE asset_uid = 'a2'")
    bodies = [msgspec.json.decode(raw) for raw in await RenderedAssets(readers).of(keys)]
    assert [body["asset_uid"] for body in bodies] == ["a0", "a1", "a3", "a4"]
