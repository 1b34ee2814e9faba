"""GET /data/sparklines: the closes of a page of assets."""

from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Any

import pytest

from libs.domain.candles import Interval, bucket_at
from libs.postgres.pool import Pool
from libs.postgres.writing.chunks import Destination
from libs.postgres.writing.sessions import open_writing_pool
from libs.postgres.writing.ticks import Tick
from tests.integration.query.answers import Api
from tests.integration.writing.conftest import COINGECKO, COINPAPRIKA, START, numbered, place_of, tick, write_chunk

MINUTE = timedelta(minutes=1)


@pytest.fixture
async def pool(database_url: str) -> Any:
    async with open_writing_pool(database_url, application="test", connections=3, statement_seconds=20) as pool:
        yield pool


async def tell(pool: Pool, ticks: Sequence[Tick], destination: Destination = COINGECKO) -> None:
    await write_chunk(pool, destination, place_of(ticks[0].quote.asset_uid), numbered(list(ticks)))


def before_now(interval: Interval, buckets: int, *, minutes: int = 0) -> int:
    """The minute of a tick in the bucket that many before the present one."""
    return (bucket_at(datetime.now(UTC), interval.width) - buckets * interval.width - START) // MINUTE + minutes


def priced(interval: Interval, prices: Sequence[tuple[int, int, str]], *, uid: str = "btc") -> list[Tick]:
    return [
        tick(uid, uid, minute=before_now(interval, buckets, minutes=minutes), price=price) for buckets, minutes, price in prices
    ]


async def closes(api: Api, uids: str, interval: Interval, count: int) -> dict[str, list[Decimal | None]]:
    body = (await api.get("/data/sparklines", params={"uid": uids, "interval": interval})).body
    assert datetime.fromisoformat(body["to"]) > datetime.now(UTC)
    assert all(len(line["closes"]) == count for line in body["data"])
    return {line["asset_uid"]: line["closes"] for line in body["data"]}


async def test_each_interval_has_its_last_price_and_null_where_there_was_no_tick(api: Api, pool: Pool) -> None:
    await tell(pool, priced(Interval.HOUR, [(200, 0, "1"), (4, 0, "10"), (4, 59, "11.50"), (2, 5, "12")]))
    found = (await closes(api, "btc", Interval.HOUR, 168))["btc"]
    assert found[-5:-2] == [Decimal("11.5"), None, Decimal(12)]
    assert [close for close in found if close is not None] == [Decimal("11.5"), Decimal(12)]  # the first is too old
    assert (await closes(api, "btc", Interval.FIVE_MINUTES, 144))["btc"].count(None) == 141


async def test_of_listings_that_agree_the_latest_price_counts_and_each_asset_has_its_own(api: Api, pool: Pool) -> None:
    await tell(pool, priced(Interval.MINUTE, [(3, 0, "10"), (1, 0, "12")]))
    later = before_now(Interval.MINUTE, 3)
    await tell(pool, [tick("p", "btc", source="coinpaprika", minute=later + 1, price="10.1", name="btc")], COINPAPRIKA)
    await tell(pool, priced(Interval.MINUTE, [(2, 0, "7")], uid="eth"))
    found = await closes(api, "eth,BTC,btc,nobody", Interval.MINUTE, 120)
    assert list(found) == ["eth", "btc"]
    assert (await api.get("/data/sparklines?uid=btc&uid=eth&interval=1m")).body["data"][0]["asset_uid"] == "btc"
    assert [close for close in found["btc"] if close is not None] == [Decimal(10), Decimal("10.1"), Decimal(12)]
    assert [close for close in found["eth"] if close is not None] == [Decimal(7)]


async def test_what_cannot_be_asked_is_refused(api: Api) -> None:
    for wrong in ("", "uid=btc&interval=1d", f"uid={','.join(f'a{number}' for number in range(101))}"):
        assert (await api.get(f"/data/sparklines?{wrong}")).code == "invalid_parameter"
    for nothing in ("btc", "", ",%20,"):
        assert (await api.get(f"/data/sparklines?uid={nothing}")).body["data"] == []
